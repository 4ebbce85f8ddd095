// Reads HDF5 in a child process, because libhdf5 dies on damaged files.
//
// The parent starts a child with ckpt_hdf5_start_index or ckpt_hdf5_start_read, receives records
// with ckpt_hdf5_receive and ends with ckpt_hdf5_finish. The child runs C only and never returns.
// Every record is: tag (1 byte), length (4 bytes), that many bytes; integers are little-endian.
// The records are listed at enum ckpt_hdf5_tag; the parent trusts none of them.
#ifndef CKPT_CHDF5_READER_H
#define CKPT_CHDF5_READER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Element types, as in the records and for ckpt_hdf5_type.
enum ckpt_hdf5_dtype {
  CKPT_HDF5_NONE = 0,
  CKPT_HDF5_F64 = 1,
  CKPT_HDF5_F32 = 2,
  CKPT_HDF5_F16 = 3,
  CKPT_HDF5_BF16 = 4,
  CKPT_HDF5_I64 = 5,
  CKPT_HDF5_I32 = 6,
  CKPT_HDF5_I16 = 7,
  CKPT_HDF5_I8 = 8,
  CKPT_HDF5_U64 = 9,
  CKPT_HDF5_U32 = 10,
  CKPT_HDF5_U16 = 11,
  CKPT_HDF5_U8 = 12,
  CKPT_HDF5_BOOL = 13,    // the enumeration FALSE = 0, TRUE = 1 over int8, as h5py writes it
  CKPT_HDF5_OPAQUE2 = 14,  // two opaque bytes: Keras 3 stores bfloat16 so
  // complex numbers as h5py writes them: a compound of the floats r and i
  CKPT_HDF5_C64 = 15,
  CKPT_HDF5_C128 = 16
};

// How a dataset's bytes are kept.
enum ckpt_hdf5_layout {
  CKPT_HDF5_CONTIGUOUS = 0,
  CKPT_HDF5_COMPACT = 1,
  CKPT_HDF5_CHUNKED = 2,
  CKPT_HDF5_UNALLOCATED = 3
};

// A string is its length (4 bytes) and its bytes; a shape is its rank (1 byte) and its extents (8
// bytes each).
enum ckpt_hdf5_tag {
  // string path (empty for the root)
  CKPT_HDF5_GROUP = 1,
  // string path, byte dtype, byte "is big-endian", shape, byte layout, u64 offset (contiguous: of
  // the payload in the image), u64 bytes stored, string filters
  CKPT_HDF5_DATASET = 2,
  // Of the object last named. string name, byte 1, byte dtype, shape, the elements to the end
  CKPT_HDF5_NUMBERS = 3,
  // Of the object last named. string name, byte variable length, u32 size, byte UTF-8, byte padding
  // (0 null-terminated, 1 null-padded, 2 space-padded), shape, a string per element
  CKPT_HDF5_TEXT = 4,
  // string path of an object or link, string attribute name (empty: the object), string reason
  CKPT_HDF5_UNREADABLE = 5,
  // elements of a dataset
  CKPT_HDF5_DATA = 6,
  // string reason; the child gives up
  CKPT_HDF5_FAILURE = 7,
  // nothing; everything was said
  CKPT_HDF5_END = 8
};

// An HDF5 file, or a part of a file that is one, and what a child may use.
struct ckpt_hdf5_image {
  int descriptor;
  uint64_t offset;   // bytes
  uint64_t length;   // bytes
  uint64_t memory;   // bytes above what the parent has mapped
  uint64_t seconds;  // of processor time
  uint64_t output;   // bytes that the child may send
};

struct ckpt_hdf5_child {
  pid_t pid;
  int output;
};

// One lock around every fork of a child and every call of libhdf5 in this process.
void ckpt_hdf5_lock(void);
void ckpt_hdf5_unlock(void);

// Starts a child that lists the image. 0, or an error number. Takes the lock itself.
int ckpt_hdf5_start_index(struct ckpt_hdf5_image image, struct ckpt_hdf5_child *child);

// Starts a child that sends `count` bytes from byte `first` on of the dataset at `path`, as
// little-endian elements of `dtype` in C order.
int ckpt_hdf5_start_read(struct ckpt_hdf5_image image, const char *path, int dtype, uint64_t first,
                         uint64_t count, struct ckpt_hdf5_child *child);

// Receives up to `size` bytes: their count, 0 at the end, -1 on an error, -2 when nothing came for
// `milliseconds`.
ssize_t ckpt_hdf5_receive(const struct ckpt_hdf5_child *child, void *buffer, size_t size,
                          int milliseconds);

// Closes the pipe, kills the child if `force`, waits for its end and returns its wait status.
// Without force the pipe must have ended before, or the child may never end.
int ckpt_hdf5_finish(struct ckpt_hdf5_child *child, int force);

// A new datatype identifier for an element type, to be closed with H5Tclose; negative on failure.
// The lock must be held.
int64_t ckpt_hdf5_type(int dtype);

// The first useful text of this thread's HDF5 error stack, which is then cleared. The lock must be
// held. Returns `text`.
const char *ckpt_hdf5_error(char *text, size_t size);

// The pages of a file that libhdf5 writes into memory.
typedef struct ckpt_hdf5_memory ckpt_hdf5_memory;

enum { CKPT_HDF5_PAGE = 4096 };

// Chunks go to `descriptor` at once, which must stay open; `base` is where the HDF5 file begins in it.
ckpt_hdf5_memory *ckpt_hdf5_memory_new(int descriptor, uint64_t base);
// The error number with which a chunk could not be written, or 0.
int ckpt_hdf5_memory_failure(const ckpt_hdf5_memory *memory);
void ckpt_hdf5_memory_free(ckpt_hdf5_memory *memory);

// Makes an HDF5 file in `memory`, which must live until the file is closed. The lock must be held.
int64_t ckpt_hdf5_memory_create(ckpt_hdf5_memory *memory, int64_t creation, int64_t access);

// After the file was closed: its size in bytes and the number of pages, which are sorted now. What
// is on no page was reserved and never written.
uint64_t ckpt_hdf5_memory_finish(ckpt_hdf5_memory *memory, size_t *pages);

// The CKPT_HDF5_PAGE bytes of a page, and where in the file they go.
const uint8_t *ckpt_hdf5_memory_page(const ckpt_hdf5_memory *memory, size_t index,
                                     uint64_t *offset);

#endif
