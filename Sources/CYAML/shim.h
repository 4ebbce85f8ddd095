#ifndef CKPT_CYAML_SHIM_H
#define CKPT_CYAML_SHIM_H

#include <yaml.h>

#endif
