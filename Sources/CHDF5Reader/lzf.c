// The LZF decoder, so that files which h5py packed with compression="lzf" open without a plugin.
// Stream: a byte below 32 announces that many literals plus one; any other byte is a copy of 3 to
// 264 bytes from up to 8,192 bytes back (length in its upper 3 bits, 7 meaning one more byte).
#include "internal.h"

// Returns the bytes made, or 0 when the input is damaged or the output too small.
static size_t decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) {
  size_t read = 0, made = 0;
  while (read < in_size) {
    size_t control = in[read++];
    if (control < 32) {
      size_t count = control + 1;
      if (count > in_size - read || count > out_size - made) return 0;
      memcpy(out + made, in + read, count);
      read += count;
      made += count;
    } else {
      size_t count = control >> 5;
      if (count == 7) {
        if (read >= in_size) return 0;
        count += in[read++];
      }
      if (read >= in_size) return 0;
      size_t back = ((control & 31) << 8) + in[read++] + 1;
      count += 2;
      if (back > made || count > out_size - made) return 0;
      for (size_t i = 0; i < count; i++, made++) out[made] = out[made - back];
    }
  }
  return made;
}

static size_t filter(unsigned flags, size_t value_count, const unsigned values[], size_t bytes,
                     size_t *capacity, void **buffer) {
  if (!(flags & H5Z_FLAG_REVERSE)) return 0;  // ckpt never packs
  // The third value is the size of an unpacked chunk.
  size_t size = value_count >= 3 && values[2] > 0 ? values[2] : *capacity;
  for (int attempt = 0; attempt < 12; attempt++, size *= 2) {
    uint8_t *out = malloc(size);
    if (!out) return 0;
    size_t made = decode(*buffer, bytes, out, size);
    if (made > 0) {
      free(*buffer);
      *buffer = out;
      *capacity = size;
      return made;
    }
    free(out);
  }
  return 0;
}

void lzf_register(void) {
  const H5Z_class2_t class = {
      .version = H5Z_CLASS_T_VERS,
      .id = 32000,
      .encoder_present = 0,
      .decoder_present = 1,
      .name = "lzf",
      .filter = filter,
  };
  H5Zregister(&class);
}
