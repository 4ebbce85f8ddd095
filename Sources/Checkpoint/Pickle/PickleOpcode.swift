/// The operations of Python's pickle, protocols 0 to 5.
///
/// Source: `Lib/pickletools.py` of CPython, which describes each one.
enum PickleOpcode: UInt8 {
  case mark = 0x28  // (
  case emptyTuple = 0x29  // )
  case stop = 0x2e  // .
  case pop = 0x30  // 0
  case popMark = 0x31  // 1
  case duplicate = 0x32  // 2
  case binaryBytes = 0x42  // B
  case shortBinaryBytes = 0x43  // C
  case float = 0x46  // F
  case binaryFloat = 0x47  // G
  case int = 0x49  // I
  case binaryInt = 0x4a  // J
  case binaryInt1 = 0x4b  // K
  case long = 0x4c  // L
  case binaryInt2 = 0x4d  // M
  case none = 0x4e  // N
  case persistent = 0x50  // P
  case binaryPersistent = 0x51  // Q
  case reduce = 0x52  // R
  case string = 0x53  // S
  case binaryString = 0x54  // T
  case shortBinaryString = 0x55  // U
  case unicode = 0x56  // V
  case binaryUnicode = 0x58  // X
  case emptyList = 0x5d  // ]
  case append = 0x61  // a
  case build = 0x62  // b
  case global = 0x63  // c
  case dictionary = 0x64  // d
  case appends = 0x65  // e
  case get = 0x67  // g
  case binaryGet = 0x68  // h
  case instance = 0x69  // i
  case longBinaryGet = 0x6a  // j
  case list = 0x6c  // l
  case object = 0x6f  // o
  case put = 0x70  // p
  case binaryPut = 0x71  // q
  case longBinaryPut = 0x72  // r
  case setItem = 0x73  // s
  case tuple = 0x74  // t
  case setItems = 0x75  // u
  case emptyDictionary = 0x7d  // }

  // Protocol 2.
  case proto = 0x80
  case new = 0x81
  case extension1 = 0x82
  case extension2 = 0x83
  case extension4 = 0x84
  case tuple1 = 0x85
  case tuple2 = 0x86
  case tuple3 = 0x87
  case yes = 0x88
  case no = 0x89
  case long1 = 0x8a
  case long4 = 0x8b

  // Protocol 4.
  case shortBinaryUnicode = 0x8c
  case binaryUnicode8 = 0x8d
  case binaryBytes8 = 0x8e
  case emptySet = 0x8f
  case addItems = 0x90
  case frozenSet = 0x91
  case newWithKeywords = 0x92
  case stackGlobal = 0x93
  case memoize = 0x94
  case frame = 0x95

  // Protocol 5.
  case byteArray8 = 0x96
  case nextBuffer = 0x97
  case readOnlyBuffer = 0x98
}
