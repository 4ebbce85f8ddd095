#include "CSentencePiece.h"

#include <sentencepiece_processor.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct ckpt_sentencepiece {
  sentencepiece::SentencePieceProcessor processor;
};

static int hand_over(const std::string &text, char **result, size_t *count) {
  *result = static_cast<char *>(std::malloc(text.size() + 1));
  if (*result == nullptr) return CKPT_SENTENCEPIECE_REFUSED;
  std::memcpy(*result, text.data(), text.size());
  *count = text.size();
  return CKPT_SENTENCEPIECE_OK;
}

int ckpt_sentencepiece_load(const void *bytes, size_t count, ckpt_sentencepiece **model) {
  *model = nullptr;
  try {
    auto made = std::make_unique<ckpt_sentencepiece>();
    if (!made->processor.LoadFromSerializedProto(std::string_view(static_cast<const char *>(bytes), count)).ok())
      return CKPT_SENTENCEPIECE_REFUSED;
    *model = made.release();
    return CKPT_SENTENCEPIECE_OK;
  } catch (...) {
    return CKPT_SENTENCEPIECE_REFUSED;
  }
}

void ckpt_sentencepiece_free(ckpt_sentencepiece *model) { delete model; }

int ckpt_sentencepiece_encode(const ckpt_sentencepiece *model, const char *text, size_t count, char **result,
                              size_t *result_count) {
  try {
    return hand_over(model->processor.EncodeAsSerializedProto(std::string_view(text, count)), result, result_count);
  } catch (...) {
    return CKPT_SENTENCEPIECE_REFUSED;
  }
}

int ckpt_sentencepiece_decode(const ckpt_sentencepiece *model, const char *pieces, const size_t *lengths, size_t count,
                              char **result, size_t *result_count) {
  try {
    std::vector<std::string> list;
    list.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      list.emplace_back(pieces, lengths[i]);
      pieces += lengths[i];
    }
    return hand_over(model->processor.DecodePieces(list), result, result_count);
  } catch (...) {
    return CKPT_SENTENCEPIECE_REFUSED;
  }
}
