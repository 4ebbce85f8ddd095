// Shared by the parts of the reading child.
#ifndef CKPT_HDF5_INTERNAL_H
#define CKPT_HDF5_INTERNAL_H

// Later libraries then offer the calls of 1.10 under their plain names.
#define H5_USE_110_API
#if __has_include(<hdf5/serial/hdf5.h>)
#include <hdf5/serial/hdf5.h>
#else
#include <hdf5.h>
#endif
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "CHDF5Reader.h"

// Records on their way to the parent. A record is complete before its bytes are sent.
struct stream {
  int descriptor;
  uint8_t *bytes;
  size_t used, capacity;
  size_t record;   // where the current record starts
  uint64_t total;  // bytes sent and waiting
  uint64_t limit;
};

extern struct stream output;

void stream_begin(uint8_t tag);
void stream_byte(uint8_t value);
void stream_u32(uint32_t value);
void stream_u64(uint64_t value);
void stream_bytes(const void *bytes, size_t count);
void stream_text(const char *bytes, size_t count);
void stream_string(const char *text);
void stream_end(void);
// Sends what waits.
void stream_flush(void);
// Sends a failure and ends the process.
_Noreturn void fail(const char *reason);
// The same, with the HDF5 error stack's text after `what`.
_Noreturn void fail_hdf5(const char *what);

// Opens the image for reading.
hid_t image_open(const struct ckpt_hdf5_image *image);

// LZF, the filter that h5py brings.
void lzf_register(void);

// The dtype of a stored type, or CKPT_HDF5_NONE with a reason. `big` tells its byte order.
int type_classify(hid_t type, int *big, const char **reason);

void attributes_send(hid_t object, const char *path, uint64_t file_size);
void index_send(const struct ckpt_hdf5_image *image);
void read_send(const struct ckpt_hdf5_image *image, const char *path, int dtype, uint64_t first,
               uint64_t count);

// A link of the image that cannot be listed as an object.
void send_unreadable(const char *path, const char *attribute, const char *reason);
// The same, with the HDF5 error stack's text after `what`.
void send_unreadable_hdf5(const char *path, const char *attribute, const char *what);

void send_shape(int rank, const hsize_t *extents);

#endif
