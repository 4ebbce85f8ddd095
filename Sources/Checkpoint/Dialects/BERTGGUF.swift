public struct BERTGGUF {}
