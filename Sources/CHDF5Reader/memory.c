// A file driver for writing: what libhdf5 writes of its own structures is kept in pages of memory,
// and the caller puts them into the file. So libhdf5 never meets a full disk, after which it crashes;
// and the room that it reserves for payload, which it never writes, takes neither memory nor time.
// Chunks that it has packed (and attributes beyond 64 KB) go to the file at once; a disk that is full then is told to the caller,
// and never to libhdf5.
#include <errno.h>
#include <unistd.h>

#include "internal.h"

enum { PAGE = CKPT_HDF5_PAGE };

struct page {
  uint64_t number;  // of pages before it
  uint8_t bytes[PAGE];
};

struct ckpt_hdf5_memory {
  struct page **pages;  // in the order of their making; sorted at the end
  size_t count, capacity;
  size_t *slots;  // hash table: 1 + index of a page, or 0
  size_t slot_count;
  uint64_t end;  // of the file
  int descriptor;  // of the file, for chunks
  uint64_t base;   // where address 0 is in it
  int failure;     // error number of the first chunk that could not be written
  int has_chunks;
};

// One libhdf5 file over a store.
struct memory_file {
  H5FD_t head;  // libhdf5's part, always first
  haddr_t end;  // of the addresses in use
  struct ckpt_hdf5_memory *store;
};

static struct ckpt_hdf5_memory *next;  // the store of the file being made; under the lock

static size_t *slot_of(struct ckpt_hdf5_memory *store, uint64_t number) {
  size_t mask = store->slot_count - 1;
  size_t slot = (size_t)(number * 0x9e3779b97f4a7c15u >> 20) & mask;
  while (store->slots[slot] && store->pages[store->slots[slot] - 1]->number != number)
    slot = (slot + 1) & mask;
  return &store->slots[slot];
}

// Makes room for one page more.
static int grow(struct ckpt_hdf5_memory *store) {
  if (store->count < store->capacity) return 1;
  size_t capacity = store->capacity ? 2 * store->capacity : 64;
  struct page **pages = realloc(store->pages, capacity * sizeof *pages);
  if (!pages) return 0;
  store->pages = pages;
  size_t *slots = calloc(4 * capacity, sizeof *slots);
  if (!slots) return 0;
  free(store->slots);
  store->slots = slots;
  store->slot_count = 4 * capacity;
  store->capacity = capacity;
  for (size_t i = 0; i < store->count; i++) *slot_of(store, store->pages[i]->number) = i + 1;
  return 1;
}

// Reads what chunks put into the file; zeros where it has nothing.
static void read_file(const struct ckpt_hdf5_memory *store, uint64_t address, size_t size,
                      uint8_t *bytes) {
  while (size > 0) {
    ssize_t count = pread(store->descriptor, bytes, size, (off_t)(store->base + address));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    address += (uint64_t)count;
    bytes += count;
    size -= (size_t)count;
  }
  memset(bytes, 0, size);
}

static struct page *page_at(struct ckpt_hdf5_memory *store, uint64_t number, int make) {
  if (make && !grow(store)) return NULL;
  if (store->slot_count == 0) return NULL;
  size_t *slot = slot_of(store, number);
  if (*slot) return store->pages[*slot - 1];
  if (!make) return NULL;
  struct page *page = calloc(1, sizeof *page);
  if (!page) return NULL;
  page->number = number;
  // Chunks that share the page with structures are in the file already.
  if (store->has_chunks) read_file(store, number * PAGE, PAGE, page->bytes);
  store->pages[store->count++] = page;
  *slot = store->count;
  return page;
}

static void clear(struct ckpt_hdf5_memory *store) {
  for (size_t i = 0; i < store->count; i++) free(store->pages[i]);
  free(store->pages);
  free(store->slots);
  *store = (struct ckpt_hdf5_memory){.descriptor = store->descriptor, .base = store->base};
}

static H5FD_t *memory_open(const char *name, unsigned flags, hid_t access, haddr_t limit) {
  (void)name, (void)access, (void)limit;
  if (!next) return NULL;
  if (flags & H5F_ACC_TRUNC) clear(next);
  struct memory_file *file = calloc(1, sizeof *file);
  if (file) file->store = next;
  return (H5FD_t *)file;
}

static herr_t memory_close(H5FD_t *file) {
  free(file);
  return 0;
}

static herr_t memory_query(const H5FD_t *file, unsigned long *flags) {
  (void)file;
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA;
  return 0;
}

static haddr_t memory_get_eoa(const H5FD_t *file, H5FD_mem_t type) {
  (void)type;
  return ((const struct memory_file *)file)->end;
}

static herr_t memory_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address) {
  (void)type;
  ((struct memory_file *)file)->end = address;
  return 0;
}

static haddr_t memory_get_eof(const H5FD_t *file, H5FD_mem_t type) {
  (void)type;
  return ((const struct memory_file *)file)->store->end;
}

static herr_t memory_truncate(H5FD_t *file, hid_t transfer, hbool_t closing) {
  (void)transfer, (void)closing;
  struct memory_file *memory = (struct memory_file *)file;
  memory->store->end = memory->end;
  return 0;
}

static herr_t memory_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address,
                          size_t size, void *buffer) {
  (void)type, (void)transfer;
  struct ckpt_hdf5_memory *store = ((struct memory_file *)file)->store;
  for (size_t done = 0; done < size;) {
    size_t start = (size_t)((address + done) % PAGE);
    size_t count = PAGE - start < size - done ? PAGE - start : size - done;
    const struct page *page = page_at(store, (address + done) / PAGE, 0);
    if (page)
      memcpy((uint8_t *)buffer + done, page->bytes + start, count);
    else if (store->has_chunks)
      read_file(store, address + done, count, (uint8_t *)buffer + done);
    else
      memset((uint8_t *)buffer + done, 0, count);
    done += count;
  }
  return 0;
}

// Writes a chunk to the file; what fails is kept for the caller.
static void write_chunk(struct ckpt_hdf5_memory *store, haddr_t address, size_t size,
                        const uint8_t *bytes) {
  store->has_chunks = 1;
  while (size > 0 && !store->failure) {
    ssize_t count = pwrite(store->descriptor, bytes, size, (off_t)(store->base + address));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      store->failure = count < 0 ? errno : EIO;
      break;
    }
    address += (haddr_t)count;
    bytes += count;
    size -= (size_t)count;
  }
}

static herr_t memory_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address,
                           size_t size, const void *buffer) {
  (void)transfer;
  struct ckpt_hdf5_memory *store = ((struct memory_file *)file)->store;
  int is_chunk = type == H5FD_MEM_DRAW;
  if (is_chunk) write_chunk(store, address, size, buffer);
  for (size_t done = 0; done < size;) {
    size_t start = (size_t)((address + done) % PAGE);
    size_t count = PAGE - start < size - done ? PAGE - start : size - done;
    struct page *page = page_at(store, (address + done) / PAGE, !is_chunk);
    if (!page && !is_chunk) return -1;
    if (page) memcpy(page->bytes + start, (const uint8_t *)buffer + done, count);
    done += count;
  }
  if (address + size > store->end) store->end = address + size;
  return 0;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)510,
#endif
    .name = "memory",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .open = memory_open,
    .close = memory_close,
    .query = memory_query,
    .get_eoa = memory_get_eoa,
    .set_eoa = memory_set_eoa,
    .get_eof = memory_get_eof,
    .read = memory_read,
    .write = memory_write,
    .truncate = memory_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

ckpt_hdf5_memory *ckpt_hdf5_memory_new(int descriptor, uint64_t base) {
  struct ckpt_hdf5_memory *store = calloc(1, sizeof *store);
  if (store) store->descriptor = descriptor, store->base = base;
  return store;
}

int ckpt_hdf5_memory_failure(const ckpt_hdf5_memory *store) { return store->failure; }

void ckpt_hdf5_memory_free(ckpt_hdf5_memory *store) {
  if (!store) return;
  clear(store);
  free(store);
}

int64_t ckpt_hdf5_memory_create(ckpt_hdf5_memory *store, int64_t creation, int64_t access) {
  static hid_t id = 0;
  if (id <= 0) id = H5FDregister(&driver);
  if (!store || id < 0 || H5Pset_driver(access, id, NULL) < 0) return -1;
  next = store;
  hid_t file = H5Fcreate("memory", H5F_ACC_TRUNC, creation, access);
  next = NULL;
  return file;
}

static int by_number(const void *a, const void *b) {
  uint64_t x = (*(struct page *const *)a)->number, y = (*(struct page *const *)b)->number;
  return x < y ? -1 : x > y;
}

uint64_t ckpt_hdf5_memory_finish(ckpt_hdf5_memory *store, size_t *pages) {
  qsort(store->pages, store->count, sizeof *store->pages, by_number);
  *pages = store->count;
  return store->end;
}

const uint8_t *ckpt_hdf5_memory_page(const ckpt_hdf5_memory *store, size_t index,
                                     uint64_t *offset) {
  *offset = store->pages[index]->number * PAGE;
  return store->pages[index]->bytes;
}
