// The pipe to the parent.
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "internal.h"

struct stream output;

static void send_all(const uint8_t *bytes, size_t count) {
  while (count > 0) {
    ssize_t done = write(output.descriptor, bytes, count);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) _exit(3);  // the parent is gone
    bytes += done;
    count -= (size_t)done;
  }
}

void stream_flush(void) {
  send_all(output.bytes, output.used);
  output.used = 0;
}

static void reserve(size_t count) {
  if (output.used + count <= output.capacity) return;
  size_t capacity = output.capacity ? output.capacity : 1 << 17;
  while (capacity < output.used + count) capacity *= 2;
  uint8_t *bytes = realloc(output.bytes, capacity);
  if (!bytes) fail("the reading process ran out of memory");
  output.bytes = bytes;
  output.capacity = capacity;
}

void stream_bytes(const void *bytes, size_t count) {
  if (count > output.limit || output.total > output.limit - count)
    fail("the file lists more than its size can back");
  output.total += count;
  reserve(count);
  if (count > 0) memcpy(output.bytes + output.used, bytes, count);
  output.used += count;
}

void stream_byte(uint8_t value) { stream_bytes(&value, 1); }

void stream_u32(uint32_t value) {
  uint8_t bytes[4];
  for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(value >> (8 * i));
  stream_bytes(bytes, 4);
}

void stream_u64(uint64_t value) {
  uint8_t bytes[8];
  for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> (8 * i));
  stream_bytes(bytes, 8);
}

void stream_text(const char *bytes, size_t count) {
  if (count > UINT32_MAX) fail("a text is longer than 4 GB");
  stream_u32((uint32_t)count);
  stream_bytes(bytes, count);
}

void stream_string(const char *text) { stream_text(text, strlen(text)); }

void stream_begin(uint8_t tag) {
  output.record = output.used;
  stream_byte(tag);
  stream_u32(0);
}

void stream_end(void) {
  size_t length = output.used - output.record - 5;
  if (length > UINT32_MAX) fail("a record is longer than 4 GB");
  for (int i = 0; i < 4; i++) output.bytes[output.record + 1 + (size_t)i] = (uint8_t)(length >> (8 * i));
  output.record = output.used;
  if (output.used >= 1 << 16) {
    stream_flush();
    output.record = 0;
  }
}

void fail(const char *reason) {
  // Complete records go first; the one being made is dropped. No memory is asked for here.
  send_all(output.bytes, output.record);
  size_t length = strlen(reason);
  uint8_t head[9] = {CKPT_HDF5_FAILURE};
  for (int i = 0; i < 4; i++) head[1 + i] = (uint8_t)((length + 4) >> (8 * i));
  for (int i = 0; i < 4; i++) head[5 + i] = (uint8_t)(length >> (8 * i));
  send_all(head, 9);
  send_all((const uint8_t *)reason, length);
  _exit(2);
}

static void describe(char *text, size_t size, const char *what) {
  char reason[800];
  ckpt_hdf5_error(reason, sizeof reason);
  snprintf(text, size, "%s: %s", what, reason);
}

void fail_hdf5(const char *what) {
  char text[1000];
  describe(text, sizeof text, what);
  fail(text);
}

void send_unreadable(const char *path, const char *attribute, const char *reason) {
  stream_begin(CKPT_HDF5_UNREADABLE);
  stream_string(path);
  stream_string(attribute);
  stream_string(reason);
  stream_end();
}

void send_unreadable_hdf5(const char *path, const char *attribute, const char *what) {
  char text[1000];
  describe(text, sizeof text, what);
  send_unreadable(path, attribute, text);
}

void send_shape(int rank, const hsize_t *extents) {
  stream_byte((uint8_t)rank);
  for (int i = 0; i < rank; i++) stream_u64(extents[i]);
}
