// A read-only file driver: HDF5 address 0 is a byte inside a file that is already open. So an image
// inside another file opens too, nothing can be written, and no other file can be reached by name.
#include <errno.h>
#include <unistd.h>

#include "internal.h"

struct slice {
  H5FD_t head;  // libhdf5's part, always first
  haddr_t end;  // of the addresses in use
};

static struct ckpt_hdf5_image image;

static H5FD_t *slice_open(const char *name, unsigned flags, hid_t access, haddr_t limit) {
  (void)name, (void)access, (void)limit;
  if (flags & (H5F_ACC_RDWR | H5F_ACC_CREAT | H5F_ACC_TRUNC)) return NULL;
  return calloc(1, sizeof(struct slice));
}

static herr_t slice_close(H5FD_t *file) {
  free(file);
  return 0;
}

static herr_t slice_query(const H5FD_t *file, unsigned long *flags) {
  (void)file;
  *flags = H5FD_FEAT_ACCUMULATE_METADATA_READ | H5FD_FEAT_DATA_SIEVE;
  return 0;
}

static haddr_t slice_get_eoa(const H5FD_t *file, H5FD_mem_t type) {
  (void)type;
  return ((const struct slice *)file)->end;
}

static herr_t slice_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address) {
  (void)type;
  ((struct slice *)file)->end = address;
  return 0;
}

static haddr_t slice_get_eof(const H5FD_t *file, H5FD_mem_t type) {
  (void)file, (void)type;
  return image.length;
}

static herr_t slice_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address,
                         size_t size, void *buffer) {
  (void)file, (void)type, (void)transfer;
  if (address > image.length) return -1;
  // libhdf5 may ask beyond the end of the file and expects zeros there, as its own drivers give.
  size_t there = size <= image.length - address ? size : (size_t)(image.length - address);
  memset((uint8_t *)buffer + there, 0, size - there);
  for (size_t done = 0; done < there;) {
    ssize_t count = pread(image.descriptor, (uint8_t *)buffer + done, there - done,
                          (off_t)(image.offset + address + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    if (count == 0) {  // the file became shorter meanwhile
      memset((uint8_t *)buffer + done, 0, there - done);
      break;
    }
    done += (size_t)count;
  }
  return 0;
}

static herr_t slice_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address,
                          size_t size, const void *buffer) {
  (void)file, (void)type, (void)transfer, (void)address, (void)size, (void)buffer;
  return -1;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)511,
#endif
    .name = "slice",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .open = slice_open,
    .close = slice_close,
    .query = slice_query,
    .get_eoa = slice_get_eoa,
    .set_eoa = slice_set_eoa,
    .get_eof = slice_get_eof,
    .read = slice_read,
    .write = slice_write,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

hid_t image_open(const struct ckpt_hdf5_image *what) {
  image = *what;
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  H5PLset_loading_state(0);  // no code is loaded from a plugin folder
  lzf_register();
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  hid_t id = H5FDregister(&driver);
  if (access < 0 || id < 0 || H5Pset_driver(access, id, NULL) < 0) fail_hdf5("libhdf5 does not start");
  hid_t file = H5Fopen("image", H5F_ACC_RDONLY, access);
  if (file < 0) fail_hdf5("libhdf5 cannot open it");
  return file;
}
