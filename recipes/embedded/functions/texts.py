"""Single functions on texts and words."""

from __future__ import annotations

from recipes.embedded.functions.inputs import TEXTS
from recipes.embedded.functions.spec import YES, Spec

# fmt: off
TEXT_FUNCTIONS: dict[str, Spec] = {
    "reverse_text": Spec("reverse|reverse_string|backwards", "text", "the string $0 reversed", "return $0[::-1]",
                         lambda s: "".join(reversed(s)), TEXTS),
    "palindrome": Spec("is_palindrome|palindrome|same_backwards", "text",
                       f"True if the string $0 reads the same backwards (case matters){YES}|"
                       f"True if the string $0 is a palindrome (case matters){YES}",
                       "return $0 == $0[::-1]", lambda s: list(s) == list(reversed(s)), TEXTS),
    "word_count": Spec("count_words|word_count|number_of_words", "text", "the number of words in the string $0",
                       "return len($0.split())", lambda s: sum(1 for w in s.split(" ") if w), TEXTS),
    "title": Spec("capitalize_words|title_case|capitalize_each", "text",
                  "the string $0 with each word capitalized and the words joined by one space",
                  "return ' '.join([word.capitalize() for word in $0.split()])",
                  lambda s: " ".join(w[:1].upper() + w[1:].lower() for w in s.split(" ") if w), TEXTS),
    "reverse_words": Spec("reverse_words|flip_words|words_backwards", "text",
                          "the string $0 with its words in reverse order", "return ' '.join($0.split()[::-1])",
                          lambda s: " ".join(reversed(s.split())), TEXTS),
    "unique_chars": Spec("unique_characters|remove_repeats|drop_duplicates", "text",
                         "the string $0 with only the first of each repeated character kept",
                         "result = ''\nfor ch in $0:\n    if ch not in result:\n        result += ch\nreturn result",
                         lambda s: "".join(dict.fromkeys(s)), TEXTS),
    "replace_char": Spec("replace_character|swap_char|replace_all", "text old new",
                         "the string $0 with every $1 replaced by $2", "return $0.replace($1, $2)",
                         lambda s, a, b: "".join(b if c == a else c for c in s),
                         (("banana", "a", "o"), ("", "x", "y"), ("a b c", " ", "-"))),
    "repeat": Spec("repeat|repeat_text|repeat_string", "text n", "the string $0 repeated $1 times", "return $0 * $1",
                   lambda s, n: "".join(s for _ in range(n)), (("ab", 3), ("", 4), ("x", 0), ("hi ", 2))),
    "all_digits": Spec("is_all_digits|only_digits|is_numeric", "text",
                       f"True if the string $0 is not empty and has only digits{YES}", "return $0.isdigit()",
                       lambda s: s != "" and all(c in "0123456789" for c in s), (("123",), ("",), ("12a",), ("-5",))),
    "join": Spec("join_words|join_with|combine", "words separator", "the strings in the list $0 joined with $1",
                 "return $1.join($0)", lambda ws, s: "".join(s + w for w in ws)[len(s):],
                 ((["a", "b", "c"], "-"), ([], ","), (["one"], " "), (["x", "y"], ", "))),
    "longest": Spec("longest_word|find_longest|longest", "words",
                    "the longest string in the list $0 (the first if tied), or an empty string if the list is empty",
                    "return max($0, key=len, default='')",
                    lambda ws: sorted(ws, key=lambda w: -len(w))[0] if ws else "",
                    ((["a", "bbb", "cc"],), ([],), (["xx", "yy"],))),
    "shortest": Spec("shortest_word|find_shortest|shortest", "words",
                     "the shortest string in the list $0 (the first if tied), or an empty string if the list is empty",
                     "return min($0, key=len, default='')", lambda ws: sorted(ws, key=len)[0] if ws else "",
                     ((["aa", "b", "cc"],), ([],), (["xx", "yy"],))),
    "caesar": Spec("caesar|shift_letters|caesar_shift", "text n",
                   "the string $0 of lower-case letters with each letter moved $1 places on in the alphabet, after z "
                   "comes a", "return ''.join([chr((ord(ch) - 97 + $1) % 26 + 97) for ch in $0])",
                   lambda s, n: "".join("abcdefghijklmnopqrstuvwxyz"[("abcdefghijklmnopqrstuvwxyz".index(c) + n) % 26]
                                        for c in s), (("abc", 1), ("xyz", 3), ("", 5), ("hello", 13))),
    "anagram": Spec("is_anagram|are_anagrams|same_letters", "a b", f"True if the strings $0 and $1 are anagrams{YES}",
                    "return sorted($0) == sorted($1)", lambda a, b: all(a.count(c) == b.count(c) for c in a + b),
                    (("listen", "silent"), ("", ""), ("ab", "abb"), ("cat", "dog"))),
    "swap_case": Spec("swap_case|flip_case|invert_case", "text", "the string $0 with upper and lower case swapped",
                      "return $0.swapcase()", lambda s: "".join(c.lower() if c.isupper() else c.upper() for c in s),
                      TEXTS),
    "acronym": Spec("acronym|initials|make_acronym", "text", "the first letters of the words in the string $0, in "
                    "upper case", "return ''.join([word[0].upper() for word in $0.split()])",
                    lambda s: "".join(w[0] for w in s.upper().split()), TEXTS),
    "char_counts": Spec("count_characters|letter_counts|char_frequency", "text",
                        "a dictionary of how often each character occurs in the string $0",
                        "counts = {}\nfor ch in $0:\n    counts[ch] = counts.get(ch, 0) + 1\nreturn counts",
                        lambda s: {c: s.count(c) for c in s}, TEXTS),
    "word_lengths": Spec("word_lengths|length_map|lengths_of_words", "words",
                         "a dictionary that maps each string in the list $0 to its length",
                         "return {word: len(word) for word in $0}", lambda ws: dict(zip(ws, map(len, ws), strict=True)),
                         ((["a", "bbb"],), ([],), (["hi", "you", "hi"],))),
}
# fmt: on
