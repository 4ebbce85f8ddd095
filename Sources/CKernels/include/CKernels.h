#ifndef CKPT_CKERNELS_H
#define CKPT_CKERNELS_H

#endif
