"""Writes Sources/Infer/Text/UnicodeTables.swift: what the original tokenizers know of Unicode.

    python scripts/python/generate_unicode_tables.py

Needs Python 3.11 (`unicodedata` 14.0) and tokenizers 0.23.3. bert4keras and the pure-Python tokenizer of
transformers go by Python's tables; the `tokenizers` package by those compiled into it, which are of several
other versions of Unicode. Its tables are therefore asked for, character by character.

The file holds four texts, decoded by UnicodeTables+Decoding.swift; numbers are hexadecimal:
  classes         "length:flags" for each run of equal characters, from U+0000 on
  lower           "from=to.to" of both; the `tokenizers` ones that differ stand in lowerRust
  decompositions  "from=to.to", one canonical step where Python has it; decompositionsRust: where full ones differ
  compatibility   "from=to.to", full compatibility decompositions in `tokenizers` where they differ from canonical ones
  combining       "class:first.length" for each run of equal canonical combining classes
"""

import pathlib
import struct
import sys
import unicodedata

import tokenizers
from tokenizers import normalizers, pre_tokenizers

TARGET = pathlib.Path(__file__).resolve().parents[2] / "Sources/Infer/Text/UnicodeTables.swift"
FLAGS = [
    "separator", "punctuation", "control", "other", "mark", "space", "ignorable", "cased",
    "rustRemoved", "rustBlank", "rustSpace", "rustPunctuation", "rustMark", "lower", "decomposes",
    "combines", "letter", "number", "regexSpace", "wordCharacter", "strips", "extends", "prepends",
    "digit",
]
CODES = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
HANGUL = range(0xAC00, 0xD7A4)

clean = normalizers.BertNormalizer(
    clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
strip = normalizers.BertNormalizer(
    clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
lower = normalizers.BertNormalizer(
    clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=True)
chinese = normalizers.BertNormalizer(
    clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
decompose = normalizers.NFD()
compatible = normalizers.NFKD()
accents = normalizers.StripAccents()
split = pre_tokenizers.BertPreTokenizer()
byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
words = pre_tokenizers.Whitespace()


def charsmap(key, value):
    """sentencepiece's compiled replacement of one text by another: a double array and the texts that it leads to."""
    data = key.encode("utf-8")
    units = [0] * (256 * (len(data) + 2))

    def unit(position, label, base, has_leaf=False):
        units[position] = label | has_leaf << 8 | (position ^ base) << 10

    unit(0, 0, 256)
    for number, byte in enumerate(data):
        unit(256 * (number + 1) ^ byte, byte, 256 * (number + 2), number == len(data) - 1)
    units[256 * (len(data) + 1)] = 1 << 31  # the value: the text at byte 0
    trie = struct.pack(f"<{len(units)}I", *units)
    return normalizers.Precompiled(struct.pack("<I", len(trie)) + trie + value.encode("utf-8") + b"\0")


# The `tokenizers` package looks up grapheme clusters: what follows or leads a character shows in what is replaced.
after = charsmap("a", "X")
before = charsmap("e\u0301", "X")
assert after.normalize_str("a b") == "X b" and before.normalize_str("e\u0301 e") == "X e"


def is_chinese(code):
    """The blocks that `tokenizers` puts blanks around: Google's, but for a slip of 256 characters."""
    ranges = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
              (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]
    return any(first <= code <= last for first, last in ranges)


def flags(code):
    """The names of the classes a character belongs to."""
    char = chr(code)
    category = unicodedata.category(char)
    names = set()
    if category == "Zs":
        names.add("separator")
    if category[0] == "P":
        names.add("punctuation")
    if category in ("Cc", "Cf"):
        names.add("control")
    if category[0] == "C":
        names.add("other")
    if category == "Mn":
        names.add("mark")
    if char.isspace():
        names.add("space")
    # Final sigma looks over ignorable characters for a cased one: both show in what lower() does.
    passes, is_cased = ("A" + char + "\u03a3").lower()[-1] == "\u03c2", ("1" + char + "\u03a3").lower()[-1] == "\u03c2"
    if is_cased:
        names.add("cased")
    elif passes:
        names.add("ignorable")
    cleaned = clean.normalize_str(char)
    assert cleaned in ("", " ", char), hex(code)
    if cleaned == "":
        names.add("rustRemoved")
    elif cleaned == " " and char != " ":
        names.add("rustBlank")
    pieces = [piece for piece, _ in split.pre_tokenize_str("a" + char + "b")]
    assert pieces in (["a", "b"], ["a", char, "b"], ["a" + char + "b"]), hex(code)
    if len(pieces) == 2:
        names.add("rustSpace")
    elif len(pieces) == 3:
        names.add("rustPunctuation")
    full = decompose.normalize_str(char)
    if is_rust_mark(char):
        names.add("rustMark")
    if char.lower() != char or lower.normalize_str(char) != char:
        names.add("lower")
    if code not in HANGUL and (unicodedata.normalize("NFD", char) != char or full != char):
        names.add("decomposes")
    if unicodedata.combining(char):
        names.add("combines")
    if char.isdecimal():
        names.add("digit")
    # The pattern of ByteLevel, with Oniguruma's classes.
    kinds = [len(byte_level.pre_tokenize_str(lead + char)) == 1 for lead in "a1!"]
    assert sum(kinds) <= 1, hex(code)
    for name, is_kind in zip(("letter", "number"), kinds):
        if is_kind:
            names.add(name)
    if not any(kinds):
        names.add("regexSpace")
    if [piece for piece, _ in words.pre_tokenize_str("a" + char)] == ["a" + char]:
        names.add("wordCharacter")
    if full == char and accents.normalize_str(char) == "":
        names.add("strips")
    if after.normalize_str("a" + char) == "X":
        names.add("extends")
    if "X" not in before.normalize_str(char + "e\u0301"):
        names.add("prepends")
    return names


def is_rust_mark(char):
    return decompose.normalize_str(char) == char and strip.normalize_str(char) == ""


def check(code):
    """Facts that the Swift code relies on instead of tables."""
    char = chr(code)
    assert chinese.normalize_str(char) == (f" {char} " if is_chinese(code) else char), hex(code)
    if code in HANGUL:
        assert decompose.normalize_str(char) == unicodedata.normalize("NFD", char)
    # The `tokenizers` package drops marks after decomposing, one by one.
    parts = decompose.normalize_str(char)
    kept = "".join(part for part in parts if not is_rust_mark(part))
    assert strip.normalize_str(char) == kept, hex(code)


def rust_combining():
    """Characters whose combining class the `tokenizers` package does not know."""
    references = {}
    for code in CODES:
        value = unicodedata.combining(chr(code))
        if value and code < 0x600:
            references.setdefault(value, chr(code))
    unknown = []
    for code in CODES:
        value = unicodedata.combining(chr(code))
        moves = set()
        decomposed = decompose.normalize_str(chr(code))
        if decomposed != chr(code):
            continue
        for other, mark in references.items():
            if decompose.normalize_str("a" + chr(code) + mark) == "a" + mark + chr(code):
                moves.add((other, "before"))
            if decompose.normalize_str("a" + mark + chr(code)) == "a" + chr(code) + mark:
                moves.add((other, "after"))
        wanted = {(other, "before") for other in references if 0 < other < value}
        wanted |= {(other, "after") for other in references if other > value > 0}
        wanted = {(o, w) for o, w in wanted if references[o] != chr(code)}
        moves = {(o, w) for o, w in moves if references[o] != chr(code)}
        if moves != wanted:
            assert not moves, (hex(code), value, moves)
            unknown.append(code)
    return unknown


def hexadecimal(text):
    return ".".join(f"{ord(c):x}" for c in text)


def runs(values):
    """(first, length, value) of each run of equal values."""
    result = []
    for code, value in enumerate(values):
        if result and result[-1][2] == value:
            result[-1][1] += 1
        else:
            result.append([code, 1, value])
    return result


def mapping(items):
    return " ".join(f"{code:x}={hexadecimal(text)}" for code, text in items)


def swift_text(name, comment, words, access="static let"):
    """A multi-line literal of lines that are not too long."""
    lines, line = [], ""
    for word in words.split(" "):
        if line and len(line) + 1 + len(word) > 94:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    lines.append(line)
    body = "\n".join("    " + line for line in lines)
    return f'  /// {comment}\n  {access} {name} = """\n{body}\n    """\n'


def main():
    assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    masks = [0] * 0x110000
    for code in CODES:
        check(code)
        names = flags(code)
        masks[code] = sum(1 << bit for bit, name in enumerate(FLAGS) if name in names)
    classes = " ".join(f"{length:x}:{value:x}" for _, length, value in runs(masks))

    lowered = [(code, chr(code).lower()) for code in CODES if chr(code).lower() != chr(code)]
    lowered_rust = [
        (code, lower.normalize_str(chr(code))) for code in CODES
        if lower.normalize_str(chr(code)) != chr(code).lower()]

    steps, full_rust, excluded, compatibility = [], [], [], []
    for code in CODES:
        char = chr(code)
        step = unicodedata.decomposition(char)
        if code not in HANGUL and step and not step.startswith("<"):
            text = "".join(chr(int(part, 16)) for part in step.split())
            steps.append((code, text))
            if len(text) == 2 and unicodedata.normalize("NFC", char) != char:
                excluded.append(code)
        if decompose.normalize_str(char) != unicodedata.normalize("NFD", char):
            full_rust.append((code, decompose.normalize_str(char)))
        if compatible.normalize_str(char) != decompose.normalize_str(char):
            compatibility.append((code, compatible.normalize_str(char)))

    combining = " ".join(
        f"{value:x}:{first:x}.{length:x}"
        for first, length, value in runs([unicodedata.combining(chr(code)) for code in range(0x110000)]) if value)
    unknown = rust_combining()

    parts = [
        swift_text("classes", "Runs of characters of the same classes, `length:flags`.", classes),
        swift_text("lower", "Lower case in Python, `from=to`.", mapping(lowered)),
        swift_text("lowerRust", "Lower case in `tokenizers` where it differs.", mapping(lowered_rust)),
        swift_text("decompositions", "Canonical decompositions, one step.", mapping(steps)),
        swift_text("decompositionsRust", "Full decompositions in `tokenizers` where they differ.", mapping(full_rust)),
        swift_text("compatibility", "Full compatibility decompositions in `tokenizers` where they differ from canonical ones.",
                   mapping(compatibility)),
        swift_text("notComposed", "Characters that are decomposed but not composed again.",
                   " ".join(f"{code:x}" for code in excluded)),
        swift_text("combining", "Canonical combining classes, `class:first.length`.", combining),
        swift_text("notCombiningRust", "Characters without a combining class in `tokenizers`.",
                   " ".join(f"{code:x}" for code in unknown)),
    ]
    cases = "\n".join(
        f"  static let {name} = CharacterClasses(rawValue: 1 << {bit})" for bit, name in enumerate(FLAGS))
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(
        "// Generated by scripts/python/generate_unicode_tables.py from Python "
        f"{sys.version_info.major}.{sys.version_info.minor} (Unicode\n"
        f"// {unicodedata.unidata_version}) and tokenizers {tokenizers.__version__}; do not edit.\n\n"
        "/// What the tokenizers ask about a character; the names with `rust` are of `tokenizers`.\n"
        "struct CharacterClasses: OptionSet, Sendable {\n  let rawValue: UInt32\n\n" + cases + "\n}\n\n"
        "/// Tables of Unicode as text; see `UnicodeData` for their meaning in memory.\n"
        "enum UnicodeTables {\n" + "\n".join(parts) + "}\n", "utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size} bytes; classes {len(classes)}, lower {len(lowered)}/{len(lowered_rust)}, "
          f"decompositions {len(steps)}/{len(full_rust)}, excluded {len(excluded)}, not combining {len(unknown)}")


if __name__ == "__main__":
    main()
