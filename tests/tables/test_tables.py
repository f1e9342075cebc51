"""Tables from files: many ways to write one, and one line for what is none."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from refusals import refused

from autometa.errors import DataError, DependencyError
from autometa.tables import read_table
from autometa.task import Task

FRAME = pd.DataFrame(
    {"name": ["a", "b,c", "ü"], "count": [1, 2, 3], "share": [0.5, np.nan, -1.25], "day": ["2024-01-02"] * 3}
)


@pytest.fixture
def write(tmp_path):
    def write(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def error_of(path, **options):
    with pytest.raises(DataError) as caught:
        read_table(path, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def codes(table):
    return {issue.code for issue in table.notices}


WRITERS = {
    "t.csv": lambda path: FRAME.to_csv(path, index=False),
    "t.CSV": lambda path: FRAME.to_csv(path, index=False),
    "t.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "t.tab": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "semicolon.csv": lambda path: FRAME.to_csv(path, index=False, sep=";"),
    "tab.csv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "bar.txt": lambda path: FRAME.to_csv(path, index=False, sep="|"),
    "european.csv": lambda path: FRAME.to_csv(path, index=False, sep=";", decimal=","),
    "bom.csv": lambda path: FRAME.to_csv(path, index=False, encoding="utf-8-sig"),
    "utf16.csv": lambda path: FRAME.to_csv(path, index=False, encoding="utf-16", sep="\t"),
    "latin.csv": lambda path: FRAME.to_csv(path, index=False, encoding="latin-1"),
    "question.csv": lambda path: FRAME.to_csv(path, index=False, na_rep="?"),
    "crlf.csv": lambda path: FRAME.to_csv(path, index=False, lineterminator="\r\n"),
    "blank.csv": lambda path: path.write_text("\n\n" + FRAME.to_csv(index=False), encoding="utf-8"),
    "t.parquet": lambda path: FRAME.to_parquet(path),
    "t.pq": lambda path: FRAME.to_parquet(path),
    "t.feather": lambda path: FRAME.to_feather(path),
    "t.arrow": lambda path: FRAME.to_feather(path),
    "indexed.parquet": lambda path: FRAME.set_index("name").to_parquet(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_table_is_the_same_however_it_was_written(tmp_path, name):
    WRITERS[name](tmp_path / name)
    table = read_table(tmp_path / name)
    pd.testing.assert_frame_equal(table.frame, FRAME)


@pytest.mark.parametrize("name", WRITERS)
def test_the_code_reads_the_same_table_with_pandas_alone(tmp_path, monkeypatch, name):
    WRITERS[name](tmp_path / name)
    monkeypatch.chdir(tmp_path)
    code = read_table(name).code
    read = eval(code, {"pd": pd})
    pd.testing.assert_frame_equal(read.reset_index() if name.startswith("indexed") else read, FRAME)


def test_standard_input_is_csv(monkeypatch):
    class Stdin:
        buffer = io.BytesIO(FRAME.to_csv(index=False).encode())

    monkeypatch.setattr("sys.stdin", Stdin())
    pd.testing.assert_frame_equal(read_table("-").frame, FRAME)


def test_arff_keeps_categories_and_missing_values(write):
    path = write(
        "@relation r\n@attribute 'my size' {small, big}\n@attribute n numeric\n@attribute s string\n"
        "@data\nbig,1,'x y'\nsmall,?,?\n",
        "t.arff",
    )
    frame = read_table(path).frame
    assert list(frame.columns) == ["my size", "n", "s"]
    assert frame["my size"].cat.categories.tolist() == ["small", "big"]
    assert frame["n"].isna().tolist() == [False, True]
    assert frame["s"].isna().tolist() == [False, True]


def test_arff_without_its_extra_names_the_extra(write, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "arff", None)
    with refused(DependencyError, "AM701", match=r"autometa-learn\[arff\]"):
        read_table(write("@relation r\n", "t.arff"))


NOTICES = {
    "padded names": ("a , b\n1,2\n", "AM303"),
    "another separator": ("a;b\n1;2\n", "AM304"),
    "Latin-1": ("a,b\né,2\n".encode("latin-1"), "AM305"),
}


@pytest.mark.parametrize("name", NOTICES)
def test_what_is_not_obvious_is_said(write, name):
    content, code = NOTICES[name]
    table = read_table(write(content))
    assert codes(table) == {code}
    assert list(table.frame.columns) == ["a", "b"]


def test_columns_can_be_kept_as_text(write):
    frame = read_table(write("zip,n\n01234,1\n00010,2\n"), text_columns=["zip", "elsewhere"]).frame
    assert frame["zip"].tolist() == ["01234", "00010"]
    assert frame["n"].tolist() == [1, 2]


def test_dates_stay_text(write):
    assert read_table(write("d\n2024-01-02\n")).frame["d"].tolist() == ["2024-01-02"]


def test_a_single_column_is_a_table(write):
    assert read_table(write("only\n1\n2\n")).frame["only"].tolist() == [1, 2]


def test_a_saved_index_without_a_name_gets_one(write):
    assert list(read_table(write(",a\n0,5\n1,6\n")).frame.columns) == ["Unnamed: 0", "a"]


BAD = {
    "empty": (b"", "AM201", "empty"),
    "blank": (b"\n \n\n", "AM201", "empty"),
    "header only": (b"a,b\n", "AM201", "no rows"),
    "a row too long": (b"a,b\n1,2\n1,2,3\n4,5\n", "AM117", "line 3"),
    "every row too long": (b"a,b\n1,2,3\n4,5,6\n", "AM117", "more cells than the header"),
    "duplicate names": (b"a,b,a\n1,2,3\n", "AM301", "'a' stands 2 times"),
    "duplicates but for spaces": (b"a,b,a \n1,2,3\n", "AM301", "'a' stands 2 times"),
    "binary": (b"a,b\n1,\0\0\n", "AM113", "binary"),
    "an open quote": (b'a,b\n"1,2\n3,4\n', "AM113", "delimited"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_table_is_one_line(write, name):
    content, code, words = BAD[name]
    error = error_of(write(content))
    assert error.code == code
    assert words in str(error)


@pytest.mark.parametrize("suffix", ["parquet", "feather", "arff"])
def test_a_file_that_is_not_what_its_name_says_is_one_line(write, suffix):
    assert error_of(write(b"certainly, no table\n", f"t.{suffix}")).code == "AM113"


def test_duplicate_names_in_arff_are_found(write):
    content = "@relation r\n@attribute a numeric\n@attribute 'a ' numeric\n@data\n1,2\n"
    assert error_of(write(content, "t.arff")).code == "AM301"


def test_a_missing_file_shows_the_closest(write):
    write("a\n1\n", "houses.csv")
    error = error_of(write("", "x.csv").with_name("house.csv"))
    assert error.code == "AM112"
    assert "'houses.csv'" in error.fix


def test_a_missing_folder_is_named(tmp_path):
    assert "does not exist" in str(error_of(tmp_path / "none" / "t.csv"))


@pytest.mark.parametrize(
    "address", ["https://example.org/t.csv", "s3://bucket/t.parquet", "file:///etc/passwd"]
)
def test_addresses_are_refused(address):
    assert error_of(address).code == "AM116"


def test_a_folder_is_refused(tmp_path):
    assert error_of(tmp_path).code == "AM113"


@pytest.mark.parametrize("name", ["t.csv.zst", "t.xlsx", "t.pkl", "t.json", "t"])
def test_unknown_formats_are_refused_unread(write, name):
    assert error_of(write("a\n1\n", name)).code == "AM114"


def test_a_zero_byte_in_the_path_is_one_line():
    assert error_of("a\0b.csv").code in ("AM112", "AM113")


def test_caps_hold(write):
    path = write("a,b,c\n1,2,3\n")
    assert error_of(path, max_bytes=5).code == "AM115"
    assert error_of(path, max_columns=2).code == "AM115"


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zip"])
def test_unpacking_stops_at_the_limit(write, suffix):
    text = b"a,b\n" + b"1,2\n" * 100_000
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zip": zipped}[suffix]
    packed = pack(text)
    assert len(packed) < 10_000
    path = write(packed, f"t.csv.{suffix}")
    assert error_of(path, max_bytes=10_000).code == "AM115"
    assert read_table(path, max_bytes=len(text)).frame.shape == (100_000, 2)


def test_a_link_to_nothing_is_one(tmp_path):
    for name, goal in (("loop.csv", "loop.csv"), ("gone.csv", "none.csv")):
        (tmp_path / name).symlink_to(tmp_path / goal)
        error = error_of(tmp_path / name)
        assert error.code == "AM112"
        assert "link" in str(error)


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", content)
    return buffer.getvalue()


@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(alphabet='ab,;\t"\n\r 1.?-é\0|', max_size=80).map(lambda text: text.encode()),
    )
)
def test_any_bytes_are_a_table_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(content)
    try:
        table = read_table(path)
    except DataError as error:
        found = str(error)
    else:
        found = ""
        assert table.frame.columns.is_unique
        assert len(table.frame) > 0
    assert "\n" not in found


# --- files as people have them --------------------------------------------------------------------------------

PLAIN = "a,b,y\n" + "".join(f"{i * 1.5},{i % 7},{['no', 'yes'][i % 2]}\n" for i in range(60))


def lines(row):
    return "".join(row(i) + "\n" for i in range(60))


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_packed_files_are_read_like_plain_ones(write, suffix):
    plain = read_table(write(PLAIN))
    packing = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    if suffix == ".zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("t.csv", PLAIN)
        path = write(buffer.getvalue(), "t.zip")
    else:
        path = write(packing[suffix](PLAIN.encode()), "t.csv" + suffix)
    pd.testing.assert_frame_equal(read_table(path).frame, plain.frame)
    with refused(DataError, "AM115"):
        read_table(path, max_bytes=100)
    damaged = path.read_bytes()[:-30]
    with refused(DataError, "AM113"):
        read_table(write(damaged, path.name))


def test_an_archive_of_several_files_is_refused(write):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", PLAIN)
        archive.writestr("b.csv", PLAIN)
    with refused(DataError, "AM113", match=r"2 files"):
        read_table(write(buffer.getvalue(), "t.zip"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_encoding_is_found(write, encoding):
    text = "name,n\n" + lines(lambda i: f"M\u00fcller,{i}")
    frame = read_table(write(text.encode(encoding))).frame
    assert set(frame["name"]) == {"M\u00fcller"}
    assert frame["n"].tolist() == list(range(60))


def test_windows_signs_that_latin_1_lacks(write):
    table = read_table(write(("price,n\n" + lines(lambda i: f"{i} \u20ac,{i}")).encode("cp1252")))
    assert table.frame["price"][1] == "1 \u20ac"
    assert [issue.code for issue in table.notices] == ["AM305"]


@pytest.mark.parametrize(
    "start", ["sep=;\n", "\ufeffsep=;\r\n", '"sep=;"\n', "# made by hand\n", "\n# a; b\n# c\n\n"]
)
def test_what_stands_above_the_header(write, start):
    frame = read_table(write(start + PLAIN.replace(",", ";"))).frame
    pd.testing.assert_frame_equal(frame, read_table(write(PLAIN)).frame)


def test_a_header_may_begin_like_a_comment(write):
    assert list(read_table(write("#id,b\n1,2\n3,4\n")).frame) == ["#id", "b"]


def test_words_for_missing_are_names_of_classes_where_there_are_no_others(write):
    path = write("a,y\n" + lines(lambda i: f"{i},{['NA', 'None'][i % 2]}"))
    assert read_table(path, target="y").frame["y"].tolist()[:2] == ["NA", "None"]


@pytest.mark.parametrize("word", ["NA", "None", "null"])
def test_words_for_missing_are_names_of_classes_in_the_target(write, word):
    text = "a,y\n" + lines(lambda i: f"{'NA' if i == 5 else i * 1.5},{[word, 'DE', 'ZA'][i % 3]}")
    path = write(text)
    table = read_table(path, target="y")
    assert table.frame["y"].value_counts().to_dict() == {word: 20, "DE": 20, "ZA": 20}
    assert table.frame["a"].isna().sum() == 1
    assert [issue.code for issue in table.notices] == ["AM307"]
    pd.testing.assert_frame_equal(eval(table.code, {"pd": pd}), table.frame)
    empty = read_table(write(text.replace(",DE", ",")), target="y").frame
    assert empty["y"].isna().sum() == 20


def test_numbers_with_zeros_in_front_are_codes(write):
    path = write("zip,n\n" + lines(lambda i: f"{i * 977 % 10000:05d},{i}"))
    table = read_table(path)
    assert table.frame["zip"].str.len().eq(5).all()
    pd.testing.assert_frame_equal(eval(table.code, {"pd": pd}), table.frame)


def test_a_header_that_stands_again_is_left_out(write):
    table = read_table(write(PLAIN + PLAIN))
    assert len(table.frame) == 120
    assert table.frame["a"].dtype == "float64"
    assert "AM306" in [issue.code for issue in table.notices]


def test_arff_with_comments_ranges_and_dates(write):
    pytest.importorskip("arff")
    text = (
        "% about\n@relation r\n@attribute a numeric [0,10]\n@attribute 'b c' real % said\n"
        '@attribute d date "yyyy-MM-dd"\n@attribute y {no,yes}\n@data\n% more\n'
        '1,2.5,"2024-01-02",no\n3,?,"2024-01-03",yes\n'
    )
    frame = read_table(write(text, "t.arff")).frame
    assert frame["a"].tolist() == [1, 3]
    assert frame["b c"].isna().tolist() == [False, True]
    assert frame["d"].tolist() == ["2024-01-02", "2024-01-03"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32", "utf-16"])
@pytest.mark.parametrize("word", ["Москва", "東京", "Ville", "\U0001f600"])
def test_wide_characters_are_found_in_any_script(write, encoding, word):
    text = "a,b\n" + "".join(f"{i},{word}{i}\n" for i in range(20))
    frame = read_table(write(text.encode(encoding), "t.csv")).frame
    assert frame["b"].tolist() == [f"{word}{i}" for i in range(20)]


@pytest.mark.parametrize("mark", [*";\t|:~^", " ", "    "])
def test_any_separator_is_found_and_told(write, mark):
    text = "".join(mark.join(cells) + "\n" for cells in [("a", "b"), *((str(i), f"w{i}") for i in range(5))])
    table = read_table(write(text.encode(), "t.csv"))
    assert table.frame.shape == (5, 2)
    assert [issue.code for issue in table.notices] == ["AM304"]
    said = read_table(write(f"sep={mark[0]}\n{text}".encode(), "s.csv")) if len(mark) == 1 else table
    pd.testing.assert_frame_equal(said.frame, table.frame)


@pytest.mark.parametrize("end", ["\n\n", ",,\n,,\n", "\x1a", ",,\n\x1a"])
def test_what_stands_below_the_table_is_no_row(write, end):
    table = read_table(write(("a,b,y\n1,u,yes\n2,v,no\n" + end).encode(), "t.csv"))
    assert table.frame["a"].tolist() == [1, 2]


@pytest.mark.parametrize("title", ["Report 2024\n", "Report 2024\n\n", "Report,,\n", '"Sales, 2024"\n'])
def test_a_title_above_the_header_is_left_out_and_told(write, title):
    table = read_table(write((title + "a,b,y\n1,u,yes\n2,v,no\n").encode(), "t.csv"))
    assert list(table.frame.columns) == ["a", "b", "y"]
    assert [issue.code for issue in table.notices] == ["AM306"]


def test_a_header_shorter_than_the_rows_is_no_title(write):
    with refused(DataError, "AM117"):
        read_table(write(b"a\n1,2\n3,4\n", "t.csv"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!doctype html><html><body>1,2</body></html>\n", "page of the web"),
        (b'{"a": 1, "b": 2}\n', "JSON"),
        (b'[{"a": 1}]\n', "JSON"),
        (b"PK\x03\x04rest", "workbook"),
        (b"\x1f\x8bxx", r"\.csv\.gz"),
        (b"PAR1xx", r"\.parquet"),
    ],
)
def test_another_format_under_the_name_of_text_is_named(write, content, says):
    with refused(DataError, "AM113", match=says):
        read_table(write(content, "t.csv"))


def test_names_that_stand_twice_are_named_in_any_format(write):
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet

    table = pa.Table.from_arrays([pa.array([1, 2]), pa.array([3, 4])], names=["a", "a"])
    for name, save in (
        ("t.parquet", pyarrow.parquet.write_table),
        ("t.feather", pyarrow.feather.write_feather),
    ):
        buffer = io.BytesIO()
        save(table, buffer)
        with refused(DataError, "AM301", match=r"column name 'a' stands 2 times"):
            read_table(write(buffer.getvalue(), name))


def test_a_stream_of_arrow_is_read_like_its_file(write):
    import pyarrow as pa

    table = pa.table({"a": [1, 2], "y": ["u", "v"]})
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema) as stream:
        stream.write_table(table)
    assert read_table(write(buffer.getvalue(), "t.arrow")).frame.equals(table.to_pandas())


ARFF = """@relation r
@attribute\ta\tnumeric
@attribute b {{u,'50%'}} % what it is
@attribute y {{yes,no}}
@data
1,u,yes{end}
2,'50%',no
3,u,yes{end}
"""


@pytest.mark.parametrize("end", ["", " % why", ",{2}"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_arff_of_any_hand(write, end, encoding):
    frame = read_table(write(ARFF.format(end=end).encode(encoding), "t.arff")).frame
    assert frame["a"].tolist() == [1, 2, 3]
    assert frame["b"].tolist() == ["u", "50%", "u"]


def test_whole_numbers_of_hundreds_of_digits_are_infinite(write):
    text = "a,y\n" + "".join(f"{'9' * 400 if i == 3 else i},{i % 2}\n" for i in range(9))
    frame = read_table(write(text.encode(), "t.csv")).frame
    assert Task.from_frame(frame, "y").infinite_columns == ("a",)
    with refused(DataError, "AM108"):
        Task.from_frame(frame[["y", "a"]], "a")


def test_an_address_is_refused_without_its_password():
    error = error_of("postgresql://me:s3cret@host/db")
    assert error.code == "AM116"
    assert "s3cret" not in str(error)


def test_xz_that_asks_for_too_much_memory_is_refused(write):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**24}]
    content = lzma.compress(b"a,b\n1,2\n", filters=filters)
    assert read_table(write(content, "t.csv.xz")).frame.shape == (1, 2)
    # The size of the dictionary is one byte of the block's header, whose checksum follows.
    header = bytearray(content[12:24])
    header[4] = 39  # 3 GB
    header[-4:] = zlib.crc32(bytes(header[:-4])).to_bytes(4, "little")
    assert error_of(write(content[:12] + bytes(header) + content[24:], "t.csv.xz")).code == "AM113"


def test_xz_files_one_after_another_are_one(write):
    content = b"".join(lzma.compress(part) for part in (b"a,b\n1,2\n", b"3,4\n")) + b"\0" * 4
    assert read_table(write(content, "t.csv.xz")).frame["a"].tolist() == [1, 3]


def test_parquet_of_too_many_cells_is_refused_unread(write):
    import pyarrow as pa
    import pyarrow.parquet

    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1_000_000, dtype="int8")), pa.array(["x"]))
    table = pa.table({f"c{i}": column for i in range(501)})
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="zstd")
    assert len(buffer.getvalue()) < 2_000_000
    assert error_of(write(buffer.getvalue(), "t.parquet")).code == "AM115"


def test_parquet_of_a_few_bytes_and_gigabytes_of_text_is_refused(write):
    import pyarrow as pa
    import pyarrow.parquet

    column = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(20_000, dtype="int32")), pa.array(["x" * 1_000_000])
    )
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"a": column}), buffer, compression="zstd", store_schema=False)
    assert len(buffer.getvalue()) < 10_000
    assert error_of(write(buffer.getvalue(), "t.parquet")).code == "AM115"


def test_long_text_of_parquet_that_fits_is_read(tmp_path):
    frame = pd.DataFrame({"a": ["x" * 1_000_000 if i == 0 else f"word {i}" for i in range(9_000)]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").frame["a"].tolist() == frame["a"].tolist()


def test_feather_of_too_many_cells_is_refused_unread(write):
    import pyarrow as pa
    import pyarrow.feather

    table = pa.table({f"c{i}": pa.nulls(1_000_000, pa.int8()) for i in range(501)})
    buffer = io.BytesIO()
    pyarrow.feather.write_feather(table, buffer, compression="zstd")
    assert len(buffer.getvalue()) < 2_000_000
    assert error_of(write(buffer.getvalue(), "t.feather")).code == "AM115"


def test_parquet_of_types_that_pandas_does_not_know_again_is_read(tmp_path):
    import pyarrow as pa

    lists = pd.array([[1, 2], [3]] * 30, dtype=pd.ArrowDtype(pa.list_(pa.int64())))
    pd.DataFrame({"a": lists, "b": range(60)}).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").frame["b"].tolist() == list(range(60))


def test_thousands_of_blank_lines_in_arff_are_passed_over(write):
    pytest.importorskip("arff")
    text = "@relation r\n@attribute a numeric\n" + "\n" * 300_000 + "@attribute y {n,y}\n@data\n1,n\n2,y\n"
    assert read_table(write(text, "t.arff")).frame.shape == (2, 2)


def test_a_header_with_a_cell_of_megabytes_is_one_line(write):
    assert error_of(write('a,y\n"' + "x" * 3_000_000 + "\n1,2\n", "t.csv")).code == "AM113"
    assert error_of(write("x" * 3_000_000 + ",y\n1,2\n", "t.csv")).code == "AM113"


def test_bytes_of_parquet_that_are_no_text_are_written_out(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    cells = pa.array([b"\x80", b"a"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, cells.buffers())
    pa.parquet.write_table(pa.table({"a": text}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").frame["a"].tolist() == ["\\x80", "a"]


OF_SCRIPTS = {
    "cp1251": ("город", ["Москва", "Казань", "Тверь"]),
    "koi8-r": ("город", ["Москва", "Казань", "Тверь"]),
    "shift_jis": ("都市", ["東京", "大阪府", "カード"]),
    "euc_jp": ("都市", ["東京", "大阪府", "カード"]),
    "gb18030": ("城市", ["北京市", "上海市", "广州"]),
    "big5": ("城市", ["台北市", "高雄市", "臺中市"]),
    "euc_kr": ("도시", ["서울", "부산", "대구"]),
    "cp1253": ("πόλη", ["Αθήνα", "Πάτρα", "Βόλος"]),
    "cp1250": ("miasto", ["Łódź", "Kraków", "Gdańsk"]),
    "cp1252": ("stadt", ["München", "Köln", "Zürich"]),
    "cp1254": ("şehir", ["İstanbul", "Eskişehir", "Muğla"]),
    "cp857": ("şehir", ["İstanbul", "Eskişehir", "Muğla"]),
    "cp1255": ("עיר", ["ירושלים", "חיפה", "תל אביב"]),
    "cp1256": ("مدينة", ["القاهرة", "بغداد", "دمشق"]),
    "iso8859-6": ("مدينة", ["القاهرة", "بغداد", "دمشق"]),
    "cp874": ("เมือง", ["กรุงเทพ", "เชียงใหม่", "ภูเก็ต"]),
    "cp1257": ("miestas", ["Šiauliai", "Panevėžys", "Kėdainiai"]),
    "mac-roman": ("ville", ["Orléans", "Nîmes", "Besançon"]),
    "mac-cyrillic": ("город", ["Москва", "Казань", "Тверь"]),
    "cp850": ("ciudad", ["Málaga", "Córdoba", "Cádiz"]),
    "cp852": ("miasto", ["Łódź", "Kraków", "Gdańsk"]),
    "iso8859-2": ("mesto", ["Plzeň", "Děčín", "Ústí", "Šumperk"]),
}


@pytest.mark.parametrize("encoding", OF_SCRIPTS)
def test_other_encodings_are_told_apart_by_their_letters(write, encoding):
    header, words = OF_SCRIPTS[encoding]
    text = f"{header},n\n" + lines(lambda i: f"{words[i % 3]},{i}")
    table = read_table(write(text.encode(encoding)))
    assert codes(table) == {"AM305"}
    assert table.frame[header].tolist()[:3] == words[:3]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1252", ["größer", "Zürich", "Köln", "5 €"]),
        ("cp1252", ["à", "où", "garçon", "cœur", "déjà", "côté"]),
        ("iso8859-2", ["přílíš", "žluťoučký", "ďábelské", "Žďár", "kůň", "úpěl"]),
    ],
)
def test_signs_within_words_and_letters_of_elsewhere_are_no_reading(write, encoding, words):
    text = "a,n\n" + lines(lambda i: f"{words[i % len(words)]},{i}")
    assert read_table(write(text.encode(encoding))).frame["a"].tolist()[:3] == words[:3]


@pytest.mark.parametrize(
    "text", ["{} €", "{} °C", "£{}", "{} µg", "“good” {}", "Müller {}", "São {}", "{} m³", "España {}"]
)
def test_signs_among_digits_are_western(write, text):
    content = "a,n\n" + lines(lambda i: f"{text.format(i)},{i}")
    table = read_table(write(content.encode("cp1252")))
    assert table.frame["a"].tolist()[3] == text.format(3)


def test_a_line_that_is_no_utf8_leaves_the_others_alone(write):
    content = ("stadt,n\n" + lines(lambda i: f"Köln {i},{i}")).encode() + "Köln,5\n".encode("latin-1")
    table = read_table(write(content))
    assert table.frame["stadt"].tolist()[-2:] == ["Köln 59", "K\\xf6ln"]
    assert codes(table) == {"AM305"}


def test_spaces_behind_separators_are_none_of_the_cells(write):
    table = read_table(write('a, b, y\n1.5, "u, v", yes\n2.5, "w", no\n'))
    assert table.frame.to_dict("list") == {"a": [1.5, 2.5], "b": ["u, v", "w"], "y": ["yes", "no"]}
    assert codes(table) == {"AM303"}


def test_lines_about_the_table_above_the_header_are_left_out(write):
    for above in ("Report: sales\nDate: 2024-01-01\n\n", "Sales,,\nof 2024,,\n", "Sales 2024,,\n,,\n"):
        table = read_table(write(above + "a,b,y\n1,2,no\n3,4,yes\n"))
        assert list(table.frame.columns) == ["a", "b", "y"]
        assert codes(table) == {"AM306"}


def test_a_name_may_go_on_in_the_next_line(write):
    table = read_table(write('"a\nx",b,y\n1,2,no\n3,4,yes\n'))
    assert list(table.frame.columns) == ["a\nx", "b", "y"]


@pytest.mark.parametrize("mark", [",", ";", "\t", " "])
@pytest.mark.parametrize("names", ['"{}"', "r{}", "{}"])
def test_names_of_rows_need_no_name_themselves(write, mark, names):
    rows = lines(lambda i: mark.join([names.format(i + 1), str(i * i), "uv"[i % 2]]))
    table = read_table(write(f"a{mark}b\n" + rows))
    assert list(table.frame.columns) == ["Unnamed: 0", "a", "b"]
    assert table.frame["a"].tolist()[:3] == [0, 1, 4]
    assert "AM303" in codes(table)


@pytest.mark.parametrize("name", ["t.data", "t.dat"])
def test_other_suffixes_of_text(write, name):
    assert read_table(write("a,b\n1,2\n", name)).frame.shape == (1, 2)


@pytest.mark.parametrize(
    "suffix", ["xlsx", "ods", "json", "sav", "dta", "sas7bdat", "h5", "pkl", "sqlite", "zst"]
)
def test_what_is_not_read_says_how_to_come_from_there(write, suffix):
    error = error_of(write(b"x", f"t.{suffix}"))
    assert error.code == "AM114"
    assert "CSV" in str(error) or "Unpack" in str(error)


def test_an_archive_may_hold_hidden_files_beside_the_table(tmp_path):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(".DS_Store", "x")
        archive.writestr("__MACOSX/._t.csv", "x")
        archive.writestr("t.csv", "a,b\n1,2\n")
    assert read_table(path).frame.shape == (1, 2)


def test_the_whole_of_a_long_column_decides_its_type(write):
    cells = [str(i) for i in range(300_000)]
    assert read_table(write("a,b\n" + "".join(f"{c},1\n" for c in cells))).frame["a"].dtype == "int64"
    cells[-1] = "x"
    frame = read_table(write("a,b\n" + "".join(f"{c},1\n" for c in cells))).frame
    assert frame["a"].dtype == "str"
    assert frame["a"].tolist() == cells
