"""Where pairs of sentences come from, which are kept, and that no split knows another."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Sequence
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.tasks.translation import catalogues
from rl_pbt.tasks.translation.catalogues import CONTENT_TYPE, Pair, files_of
from rl_pbt.tasks.translation.cleaning import cleaned, normalised
from rl_pbt.tasks.translation.corpus import Corpus, corpus_of
from rl_pbt.tasks.translation.options import PACKAGES

CATALOGUE = r"""
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\n"

msgid "Open the file"
msgstr "Die Datei öffnen"

#, fuzzy
msgid "A doubtful one here"
msgstr "Hier ein zweifelhafter"

msgid "Not translated at all"
msgstr ""

msgid "%d file was copied"
msgid_plural "%d files were copied"
msgstr[0] "%d Datei wurde kopiert"
msgstr[1] "%d Dateien wurden kopiert"

#. Default: "Add a \"new\" page"
msgid "label_add_page"
msgstr "Eine „neue“ Seite hinzufügen"

#~ msgid "An old one here"
#~ msgstr "Hier ein alter"
"""
TRANSLATED = {
    Pair("Open the file", "Die Datei öffnen"),
    Pair("%d file was copied", "%d Datei wurde kopiert"),
    Pair("%d files were copied", "%d Dateien wurden kopiert"),
    Pair('Add a "new" page', "Eine „neue“ Seite hinzufügen"),
}


def pairs_of(corpus: Sequence[str], language: str) -> list[Pair]:
    return catalogues.pairs_of(files_of(corpus, language))


@pytest.fixture
def polib() -> None:
    pytest.importorskip("polib", reason="needs the extra translation: pip install -e '.[translation]'")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Catalogues in three places, of which one language is wanted."""
    for name in ("de/LC_MESSAGES/app.po", "fr/LC_MESSAGES/app.po", "locale/de_AT.po", "other/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CATALOGUE if name.startswith("de/") else CATALOGUE.replace("Datei", "Akte"), encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("polib")
def test_translated_messages_of_a_catalogue_are_pairs_and_nothing_else_is(folder: Path) -> None:
    assert {pair for pair in pairs_of([str(folder / "de/LC_MESSAGES/app.po")], "de") if pair.target} == TRANSLATED


@pytest.mark.usefixtures("polib")
def test_of_a_folder_the_catalogues_of_the_language_are_read(folder: Path) -> None:
    found = pairs_of([str(folder)], "de")
    assert set(found) >= TRANSLATED and Pair("Open the file", "Die Akte öffnen") in found
    assert len(found) == 2 * len(pairs_of([str(folder)], "fr"))
    with pytest.raises(BadSetting, match=r"it has no message catalogue in the language 'es'"):
        pairs_of([str(folder)], "es")


def test_packages_without_the_language_are_left_out_and_those_that_are_absent_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"of-both": ["de/x.po", "fr.po"], "of-german": ["de_DE/LC_MESSAGES/x.mo"], "of-none": ["x.py"]}
    monkeypatch.setattr(catalogues, "is_package", kept.__contains__)
    monkeypatch.setattr(catalogues, "_files_of_package", lambda name: {Path(one): Path(one) for one in kept[name]})
    assert catalogues.in_language(tuple(kept), "de") == ("of-both", "of-german")
    assert catalogues.in_language((*kept, "absent"), "fr") == ("of-both", "absent")
    with pytest.raises(
        BadSetting, match="language cannot be 'es', in which none of of-both, of-german, of-none has a message cat"
    ):
        catalogues.in_language(tuple(kept), "es")


@pytest.mark.usefixtures("polib")
def test_a_compiled_catalogue_is_read_where_there_is_no_other(folder: Path) -> None:
    import polib

    source = folder / "de/LC_MESSAGES/app.po"
    compiled = source.with_suffix(".mo")
    polib.pofile(str(source)).save_as_mofile(str(compiled))
    both = pairs_of([str(source.parent)], "de")
    assert {pair for pair in both if pair.target} == TRANSLATED, "each message once, and comments are in the text alone"
    source.unlink()
    alone = {pair for pair in pairs_of([str(source.parent)], "de") if pair.target}
    assert Pair("%d files were copied", "%d Dateien wurden kopiert") in alone and len(alone) == len(TRANSLATED)


@pytest.mark.usefixtures("polib")
def test_a_catalogue_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("bad.po", "bad.mo"):
        (tmp_path / name).write_bytes(b"no catalogue")
        with pytest.raises(BadSetting, match=rf"cannot read .*{name}"):
            pairs_of([str(tmp_path / name)], "de")


@pytest.mark.usefixtures("polib")
def test_a_plural_message_may_have_one_form_without_a_number(tmp_path: Path) -> None:
    path = tmp_path / "x.po"
    path.write_text('msgid "One file here"\nmsgid_plural "More files here"\nmsgstr "Dateien hier"\n', encoding="utf-8")
    assert pairs_of([str(path)], "de") == [Pair("One file here", "Dateien hier")]


@pytest.mark.usefixtures("polib")
@pytest.mark.parametrize("suffix", [".po", ".mo"])
@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.nightly)], ids=["some bytes", "every byte"])
def test_a_damaged_catalogue_has_pairs_or_is_refused_in_one_line(suffix: str, step: int, tmp_path: Path) -> None:
    import polib

    path = tmp_path / "x.po"
    path.write_text(CATALOGUE, encoding="utf-8")
    if suffix == ".mo":
        polib.pofile(str(path)).save_as_mofile(str(path := tmp_path / "x.mo"))
    whole = path.read_bytes()
    damaged = [whole[:end] for end in range(0, len(whole), step)]
    for place in range(0, len(whole), step):
        flipped = [bytes([whole[place] ^ 1 << bit]) for bit in range(8)]
        damaged += [whole[:place] + other + whole[place + 1 :] for other in (b"", b"\0", b"\n", b'"', b"\xff", *flipped)]
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            assert all(isinstance(side, str) for pair in pairs_of([str(path)], "de") for side in pair)
        except BadSetting as error:
            assert "\n" not in str(error) and str(path) in str(error)
            refused += 1
    assert 0 < refused < len(damaged)


@pytest.mark.usefixtures("polib")
def test_a_compiled_catalogue_cannot_say_that_it_has_more_than_it_has(tmp_path: Path) -> None:
    """Of each of its strings, that it is all of the file: together terabytes, were the file larger."""
    path, strings = tmp_path / "bomb.mo", 1000
    table = struct.pack("<II", 16_000, 0) * strings
    path.write_bytes(struct.pack("<7I", 0x950412DE, 0, strings, 28, 28 + len(table), 0, 28) + 2 * table)
    with pytest.raises(BadSetting, match=r"cannot read .*bomb\.mo: its strings overlap"):
        pairs_of([str(path)], "de")


def test_a_corpus_is_no_disk_and_no_file_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = tmp_path / "big.txt"
    with big.open("wb") as stream:
        stream.truncate(3 << 30)  # of which nothing is on the disk
    with pytest.raises(BadSetting, match=r"has 6,442,450,944 bytes, of which 100,000,000 can be read"):
        pairs_of([str(big), str(big)], "de")
    with pytest.raises(BadSetting, match=r"names more than 20,000 files, with /: name folders inside it|cannot read /"):
        pairs_of(["/"], "de")
    monkeypatch.setattr(catalogues, "MOST_FILES", 10)
    (tmp_path / "a/b").mkdir(parents=True)
    for number in range(12):
        (tmp_path / f"a/b/{number}.txt").touch()
    with pytest.raises(BadSetting, match="names more than 10 files"):
        pairs_of([str(tmp_path / "a")], "de")


@pytest.mark.usefixtures("polib")
def test_no_text_is_searched_for_hours(tmp_path: Path) -> None:
    """Of these, each took a minute or more when it was searched as patterns are written first."""
    began, path = time.process_time(), tmp_path / "x.po"
    assert cleaned(Pair("%" + "0" * 100_000, "a b c")) is None
    path.write_bytes(b"# " + CONTENT_TYPE * 50_000 + b"\n" + CATALOGUE.encode())
    assert set(pairs_of([str(path)], "de")) >= TRANSLATED
    assert time.process_time() - began < 5


@pytest.mark.usefixtures("polib")
def test_a_catalogue_is_read_in_the_encoding_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "x.po"
    for charset, encoding in (("ISO-8859-1", "latin-1"), ("utf-16-none", "utf-8"), ("CHARSET", "utf-8"), ("utf8", "utf-8")):
        path.write_bytes(
            CATALOGUE.replace("charset=UTF-8", f"charset={charset}").replace("„neue“", '\\"neue\\"').encode(encoding)
        )
        assert Pair("Open the file", "Die Datei öffnen") in pairs_of([str(path)], "de"), charset


def test_what_cannot_be_looked_at_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting, match=r"cannot read x{300}: File name too long"):
        pairs_of(["x" * 300], "de")

    def forbidden(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", f"{path}/inner")

    monkeypatch.setattr(os, "scandir", forbidden)  # the tests may be run by somebody who may see everything
    with pytest.raises(BadSetting, match=r"cannot read .*/inner: Permission denied"):
        pairs_of([str(tmp_path)], "de")


def test_the_name_of_a_package_is_no_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As somebody has them beside one another, who works on what they translate."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "numpy/de/x.po"  # a package without catalogues, which is always there
    path.parent.mkdir(parents=True)
    path.write_text(CATALOGUE, encoding="utf-8")
    with pytest.raises(BadSetting, match="cannot use numpy: it has no message catalogue"):
        pairs_of(["numpy"], "de")
    assert catalogues.absolute("numpy") == "numpy" and set(catalogues.versions_of(["numpy", "./numpy"])) == {"numpy"}
    assert catalogues.absolute("./numpy") == str(tmp_path / "numpy") and catalogues.absolute("no-such") == "no-such"
    assert [file.path.name for (file,) in files_of(["./numpy"], "de")] == ["x.po"]
    for empty in ("", " "):
        with pytest.raises(BadSetting, match="corpus must not have an empty entry"):
            pairs_of([empty], "de")


def test_two_text_files_are_aligned_line_by_line(tmp_path: Path) -> None:
    first, second = tmp_path / "x.en", tmp_path / "x.de"
    first.write_text("One line here\nAnother line\u2028here", encoding="utf-8")
    second.write_text("Hier eine Zeile\nHier noch eine", encoding="utf-8")
    assert pairs_of([str(first), str(second)], "de")[1] == Pair("Another line\u2028here", "Hier noch eine")
    second.write_text("Hier eine Zeile", encoding="utf-8")
    with pytest.raises(BadSetting, match=r"has 2 lines in .* and 1 in"):
        pairs_of([str(first), str(second)], "de")
    with pytest.raises(BadSetting, match="needs two text files"):
        pairs_of([str(first)], "de")
    second.write_bytes(b"\xff\xfe")
    with pytest.raises(BadSetting, match=r"cannot read .*x\.de"):
        pairs_of([str(first), str(second)], "de")


def not_found(name: str) -> None:
    raise metadata.PackageNotFoundError(name)


def test_what_is_not_installed_is_said_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", not_found)
    for entry, way_out in {
        "gramps": r"pip install -e '\.\[translation\]'",
        "no-such-package": "if it is a package, pip install no-such-package",
        "folder/of/catalogues": "say where it lies now",
        "/folder": "say where it lies now",
    }.items():
        with pytest.raises(BadSetting, match=f"names {entry}, which is neither .*: {way_out}$"):
            pairs_of([entry], "de")

    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(catalogues, "import_module", absent)
    with pytest.raises(UserError, match=r"needs the package polib, which is not installed: pip install -e '\.\[translation\]'"):
        catalogues.needed("polib")


@pytest.mark.parametrize(
    ("pair", "kept"),
    [
        (("Copy %d files to %(place)s", "%d Dateien nach %(place)s"), ("Copy X files to X", "X Dateien nach X")),
        (("Hello ${name}, you have {n:d}", "Hallo ${name}, es gibt {n:d}"), ("Hello X, you have X", "Hallo X, es gibt X")),
        (("It is 100 % sure now", "Es ist nun zu 100 % sicher"), None),  # a sign that may begin a placeholder
        (("<b>Close</b> the&nbsp;tab …", "Den <i>Reiter</i> schließen…"), ("Close the tab ...", "Den Reiter schließen...")),
        (("Say “yes” – don\u2019t", "Sag „ja“ – nicht"), ('Say "yes" - don\'t', 'Sag "ja" - nicht')),
        (("_Save all the files", "Alle Dateien _speichern"), ("Save all the files", "Alle Dateien speichern")),
        (("E&xit from the program", "Das Programm &verlassen"), ("Exit from the program", "Das Programm verlassen")),
        (("Set the my_file option", "Die Option setzen"), None),
        (("Two words", "Zwei Wörter"), ("Two words", "Zwei Wörter")),
        (("One", "Eines von vielen"), None),
        (("X {a} {b} and", "X {a} {b} und"), None),
        (("The very same here", "The very same here"), None),
        (("Save file settings", "Dateieinstellungen speichern"), ("Save file settings", "Dateieinstellungen speichern")),
        (("One two three", "Eins zwei drei " * 6), None),
        ((" ".join(["word"] * 8), " ".join(["Wort"] * 8)), (" ".join(["word"] * 8), " ".join(["Wort"] * 8))),
        ((" ".join(["word"] * 9), " ".join(["Wort"] * 8)), None),
        (("see http://example.org for more", "siehe http://example.org für mehr"), None),
    ],
)  # fmt: skip
def test_messages_are_kept_as_sentences(pair: tuple[str, str], kept: tuple[str, str] | None) -> None:
    assert cleaned(Pair(*pair)) == kept


def test_what_is_normalised_has_words_alone() -> None:
    assert normalised("Copy 3 Files to X!") == normalised("copy files to") == "copy files to"


FILLERS = [f"{a}{b}a" for a in "bcdfghklmnprst" for b in "aeiou"]


def sentences(number: int) -> list[Pair]:
    """Six words each, drawn from seventy: hardly any two have two neighbouring words in common."""
    drawn = np.random.default_rng(1).integers(len(FILLERS), size=(number, 6))
    return [Pair(" ".join(FILLERS[n] for n in one), " ".join(FILLERS[n][::-1] for n in one)) for one in drawn]


def split_of(corpus: Corpus, source: str) -> str | None:
    return next((n for n in ("train", "dev", "test") if source in {p.source for p in getattr(corpus, n)}), None)


def test_near_duplicates_are_in_one_split_and_one_alone_in_dev_and_test() -> None:
    plain = sentences(300)
    varied = [Pair(f"{pair.source.capitalize()} 7!", f"{pair.target}.") for pair in plain]
    longer = [Pair(f"{pair.source} {FILLERS[-1]}", f"{FILLERS[-2]} {pair.target}") for pair in plain]
    corpus = corpus_of([*plain, *varied, *longer], 5)
    assert min(corpus.sizes.values()) >= 5
    for pair, *others in zip(plain, varied, longer, strict=True):
        splits = [split_of(corpus, one.source) for one in (pair, *others)]
        assert splits == ["train"] * 3 or sorted(s is None for s in splits) == [False, True, True], splits


def test_short_sentences_with_one_other_word_in_both_languages_are_in_one_split() -> None:
    """They share a third of their neighbours, or half."""
    stems = [first + second for first in FILLERS[:20] for second in FILLERS[20:40]]
    plain = [Pair(f"{stem}x {stem}y", f"{stem}u {stem}v") for stem in stems]
    changed = [Pair(f"{stem}x {stem}z", f"{stem}w {stem}v") for stem in stems]
    longer = [Pair(f"{stem}x {stem}z {stem}q", f"{stem}w {stem}q {stem}v") for stem in stems]
    corpus = corpus_of([*plain, *changed, *longer], 5)
    assert min(corpus.sizes.values()) >= 5 and a_word_apart(corpus) == []
    for together in zip(plain, changed, longer, strict=True):
        splits = [split_of(corpus, one.source) for one in together]
        assert splits == ["train"] * 3 or sorted(s is None for s in splits) == [False, True, True], splits


def test_sentences_with_one_other_word_in_one_language_alone_may_be_apart() -> None:
    """Otherwise all short sentences would be one group: "Open file" has one word in common with thousands."""
    stems = [first + second for first in FILLERS[:20] for second in FILLERS[20:40]]
    corpus = corpus_of([Pair(f"same {stem}x", f"{stem}u {stem}v") for stem in stems], 5)
    assert sum(corpus.sizes.values()) == len(stems)


def test_where_a_sentence_goes_depends_on_neither_the_order_nor_the_others() -> None:
    plain = sentences(300)
    corpus = corpus_of(plain, 5)
    assert corpus_of([*reversed(plain), *plain], 5) == corpus
    assert {pair.source for pair in corpus_of(plain[:200], 2).test} == {p.source for p in plain[:200]} & {
        p.source for p in corpus.test
    }
    assert corpus.digest(b"") != corpus_of(plain[:-1], 5).digest(b"") != corpus.digest(b"other")


def test_too_small_a_corpus_is_refused_in_one_line() -> None:
    with pytest.raises(BadSetting, match=r"has 20 usable pairs, of which \d+ are in dev and \d+ in test, where at least 8 are"):
        corpus_of(sentences(20), 8)


@pytest.fixture(scope="module")
def real() -> Corpus:
    """Of the packages of the extra."""
    pytest.importorskip("polib", reason="needs the extra translation: pip install -e '.[translation]'")
    try:
        return corpus_of(pairs_of(PACKAGES, "de"), 8)
    except UserError as error:
        pytest.skip(str(error))


def test_the_packages_have_thousands_of_sentences(real: Corpus) -> None:
    sizes = real.sizes
    assert sizes["train"] > 5000 and min(sizes["dev"], sizes["test"]) > 250, sizes


def known_elsewhere(corpus: Corpus) -> list[tuple[str, str]]:
    """Sentences of dev and test, each with one of any split that has half of all neighbouring words in common with it: by the
    words of the documentation, and comparing each with each.
    """
    found = []
    for side in (0, 1):
        neighbours = {
            (name, pair): frozenset(pairwise(["", *normalised(pair[side]).split(), ""]))
            for name in ("train", "dev", "test")
            for pair in getattr(corpus, name)
        }
        for (name, pair), one in neighbours.items():
            if name != "train":
                found += [
                    (pair[side], other[1][side])
                    for other, two in neighbours.items()
                    if 2 * len(one & two) >= len(one | two) and other != (name, pair)
                ]
    return found


def a_word_apart(corpus: Corpus) -> list[tuple[Pair, Pair]]:
    """Pairs of dev and test, each with another of any split from which at most one word has to be changed, inserted or left out,
    in both languages. So much do two texts differ if all but one word of the longer are a common beginning and a common end.
    """
    pairs = [pair for name in ("dev", "test", "train") for pair in getattr(corpus, name)]
    held_out = len(corpus.dev) + len(corpus.test)
    near = np.ones((held_out, len(pairs)), dtype=bool)
    np.fill_diagonal(near, val=False)
    for side in (0, 1):
        texts = [normalised(pair[side]).split() for pair in pairs]
        numbers = {word: number for number, word in enumerate({word for text in texts for word in text})}
        lengths, longest = np.array([len(text) for text in texts]), max(map(len, texts))
        beginnings, ends = np.full((2, len(texts), longest), -1)
        for row, text in enumerate(texts):
            beginnings[row, : len(text)] = ends[row, longest - len(text) :] = [numbers[word] for word in text]
        for row in range(held_out):
            same = sum(np.cumprod(one == one[row], 1).sum(1) for one in (beginnings, ends[:, ::-1]))
            near[row] &= same >= np.maximum(lengths, lengths[row]) - 1
    return [(pairs[one], pairs[other]) for one, other in np.argwhere(near)]


def test_no_sentence_of_dev_and_test_is_known_from_another_split(real: Corpus) -> None:
    assert known_elsewhere(real) == []
    assert a_word_apart(real) == []


@pytest.mark.parametrize("side", ["source", "target"])
def test_sentences_are_nearly_the_same_whatever_they_share_with_many_others(side: str) -> None:
    """Of what two of them have in common, all but one pair of words is in hundreds of others."""
    of_two = [Pair(f"could not {a}x {a}{end}", f"{a}y zu {a}x nicht {a}{end} ist") for a in FILLERS for end in ("in", "on")]
    of_one = [Pair(f"could not {pair.source}", f"zu {pair.target}") for pair in sentences(300)]
    pairs = [*of_two, *of_one]
    corpus = corpus_of([pair if side == "source" else Pair(pair.target, pair.source) for pair in pairs], 5)
    assert known_elsewhere(corpus) == []
    assert sum(corpus.sizes.values()) < len(pairs), "or of those in dev and test none was left out"


def test_the_page_says_how_many_there_are(real: Corpus) -> None:
    page = (Path(__file__).parents[4] / "docs/translation.md").read_text(encoding="utf-8")
    if any(f"`{name}` {metadata.version(name).partition('.post')[0]}," not in page for name in PACKAGES):
        pytest.skip("other versions of the packages are installed than the page counts")
    train, dev, test = real.sizes.values()
    assert f"{train:,} in train, {dev:,} in dev, {test:,} in test" in page
