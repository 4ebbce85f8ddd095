#ifndef CKPT_CHDF5_READER_H
#define CKPT_CHDF5_READER_H

#endif
