"""Files and directories out of a tar stream that comes in pieces."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.targets.docker.archive import entries

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("Cs", "Cc")), min_size=1, max_size=150
)


async def pieces(data: bytes, size: int):
    for at in range(0, len(data), size):
        yield data[at : at + size]


def archive(files: dict[str, bytes], style: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=style) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


@given(
    st.dictionaries(NAMES.filter(lambda n: n.strip(".") == n), st.binary(max_size=1500), max_size=5),
    st.integers(1, 4000),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
async def test_members_come_back_whatever_the_format_and_the_pieces(files, size, style):
    found = [one async for one in entries(pieces(archive(files, style), size), 100)]
    assert [one.name for one in found] == list(files)
    assert [one.data for one in found] == [content[:100] for content in files.values()]


@given(st.binary(min_size=1, max_size=2000))
async def test_what_is_no_tar_stream_ends_in_a_word(data):
    try:
        found = [one async for one in entries(pieces(data, 100), 10)]
    except ValueError:
        return
    assert all(len(one.data) <= 10 for one in found)


async def test_a_link_names_where_it_leads():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("python3")
        member.type, member.linkname = tarfile.SYMTYPE, "python3.11"
        tar.addfile(member)
    (found,) = [one async for one in entries(pieces(out.getvalue(), 512))]
    assert (found.kind, found.link) == ("link", "python3.11")


async def test_a_cut_stream_is_no_archive():
    whole = archive({"a": b"x" * 600}, tarfile.PAX_FORMAT)
    with pytest.raises(ValueError):
        [one async for one in entries(pieces(whole[:300], 100))]
