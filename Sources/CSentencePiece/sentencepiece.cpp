#include "CSentencePiece.h"

#include <dlfcn.h>
#include <sentencepiece_processor.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace {

using sentencepiece::SentencePieceProcessor;

// The library's Status as far as its size and its way of being returned go; empty means success.
struct Status {
  void *detail = nullptr;
  Status() = default;
  Status(const Status &) = delete;
  Status &operator=(const Status &) = delete;
  ~Status() {}
};

// What is not virtual must be found by name. A member function takes the object as its first argument.
struct Library {
  void (*construct)(void *) = nullptr;
  Status (*load)(void *, std::string_view) = nullptr;
  void (*destroy_status)(void *) = nullptr;
  bool is_complete = false;

  Library() {
    void *handle = dlopen("libsentencepiece.so.0", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) handle = dlopen("libsentencepiece.so", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return;
    construct = reinterpret_cast<void (*)(void *)>(dlsym(handle, "_ZN13sentencepiece22SentencePieceProcessorC1Ev"));
    load = reinterpret_cast<Status (*)(void *, std::string_view)>(dlsym(
        handle,
        "_ZN13sentencepiece22SentencePieceProcessor23LoadFromSerializedProtoESt17basic_string_viewIcSt11char_traitsIcEE"));
    destroy_status = reinterpret_cast<void (*)(void *)>(dlsym(handle, "_ZN13sentencepiece4util6StatusD1Ev"));
    is_complete = construct != nullptr && load != nullptr && destroy_status != nullptr;
  }
};

const Library &library() {
  static const Library library;
  return library;
}

int hand_over(const std::string &text, char **result, size_t *count) {
  *result = static_cast<char *>(std::malloc(text.size() + 1));
  if (*result == nullptr) return CKPT_SENTENCEPIECE_REFUSED;
  std::memcpy(*result, text.data(), text.size());
  *count = text.size();
  return CKPT_SENTENCEPIECE_OK;
}

}  // namespace

struct ckpt_sentencepiece {
  alignas(SentencePieceProcessor) unsigned char storage[sizeof(SentencePieceProcessor)];

  // Its type is hidden from the compiler's view, so that every call goes through the table of virtual functions.
  SentencePieceProcessor *processor() { return std::launder(reinterpret_cast<SentencePieceProcessor *>(storage)); }
  const SentencePieceProcessor *processor() const {
    return std::launder(reinterpret_cast<const SentencePieceProcessor *>(storage));
  }
};

int ckpt_sentencepiece_load(const void *bytes, size_t count, ckpt_sentencepiece **model) {
  *model = nullptr;
  const Library &functions = library();
  if (!functions.is_complete) return CKPT_SENTENCEPIECE_NO_LIBRARY;
  auto *made = static_cast<ckpt_sentencepiece *>(std::malloc(sizeof(ckpt_sentencepiece)));
  if (made == nullptr) return CKPT_SENTENCEPIECE_REFUSED;
  try {
    functions.construct(made->storage);
  } catch (...) {
    std::free(made);
    return CKPT_SENTENCEPIECE_REFUSED;
  }
  bool is_loaded = false;
  try {
    Status status = functions.load(made->storage, std::string_view(static_cast<const char *>(bytes), count));
    is_loaded = status.detail == nullptr;
    functions.destroy_status(&status);
  } catch (...) {
  }
  if (!is_loaded) {
    ckpt_sentencepiece_free(made);
    return CKPT_SENTENCEPIECE_REFUSED;
  }
  *model = made;
  return CKPT_SENTENCEPIECE_OK;
}

void ckpt_sentencepiece_free(ckpt_sentencepiece *model) {
  if (model == nullptr) return;
  try {
    model->processor()->~SentencePieceProcessor();
  } catch (...) {
  }
  std::free(model);
}

int ckpt_sentencepiece_encode(const ckpt_sentencepiece *model, const char *text, size_t count, char **result,
                              size_t *result_count) {
  try {
    return hand_over(model->processor()->EncodeAsSerializedProto(std::string_view(text, count)), result, result_count);
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
    return hand_over(model->processor()->DecodePieces(list), result, result_count);
  } catch (...) {
    return CKPT_SENTENCEPIECE_REFUSED;
  }
}
