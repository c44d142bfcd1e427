"""The page on notebooks, run as a notebook."""

import html
import re

import pytest
from docs_blocks import DOCS, blocks_of

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each cell shows, by its type."""
    cells = [nbformat.v4.new_code_cell(source) for _, source in blocks_of(DOCS / "notebooks.md", "python")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    folder = tmp_path_factory.mktemp("notebook")
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.validate(notebook)
    shown = []
    for cell in notebook.cells:
        (result,) = [output for output in cell.outputs if output.output_type == "execute_result"]
        shown.append(result.data)
    return shown


def test_a_replay_is_shown_as_the_page_that_plays_it(outputs):
    text = outputs[0]["text/html"]
    (page,) = re.fullmatch(r'<iframe [^>]*srcdoc="([^"]*)"></iframe>', text).groups()
    page = html.unescape(page)
    assert page.startswith("<!doctype html>")
    assert "drivesim/Highway-v1, seed 7" in page
    assert len(text) < 200_000
    assert outputs[0]["text/plain"].startswith("Replay(env_id='drivesim/Highway-v1'")


def test_a_picture_is_shown_as_one(outputs):
    assert "image/png" in outputs[1]
