// The sentencepiece library behind C functions; no exception crosses them.
#ifndef CSENTENCEPIECE_H
#define CSENTENCEPIECE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// A loaded model. It may be used by several threads at a time.
typedef struct ckpt_sentencepiece ckpt_sentencepiece;

enum {
  CKPT_SENTENCEPIECE_OK = 0,
  // The library does not take the model, or the text.
  CKPT_SENTENCEPIECE_REFUSED = 1,
};

// Loads a model from the bytes of its file.
int ckpt_sentencepiece_load(const void *bytes, size_t count, ckpt_sentencepiece **model);
void ckpt_sentencepiece_free(ckpt_sentencepiece *model);

// A text's pieces as a serialized SentencePieceText, to be freed by free().
int ckpt_sentencepiece_encode(const ckpt_sentencepiece *model, const char *text, size_t count, char **result,
                              size_t *result_count);

// The text of pieces, to be freed by free(). The pieces stand one after the other in `pieces`.
int ckpt_sentencepiece_decode(const ckpt_sentencepiece *model, const char *pieces, const size_t *lengths, size_t count,
                              char **result, size_t *result_count);

#ifdef __cplusplus
}
#endif
#endif
