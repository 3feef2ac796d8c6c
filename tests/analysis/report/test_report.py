"""The report: every section is there, what is missing is said, nothing is markup or from outside."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

import simlab
from simlab.analysis.report import write_report
from simlab.errors import AnalysisError

CONFIGS = Path(__file__).parents[3] / "configs"
SECTIONS = {"summary", "market", "pnl", "leaderboard", "facts", "config", "provenance"}
MEGABYTES = 1_000_000
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
TRADERS = {
    "noise": {
        "strategy": "noise",
        "count": 20,
        "activation": {"rate": 0.2},
        "account": {"cash": 10_000_000, "short_selling": "free"},
    }
}


class _Page(HTMLParser):
    """What a page consists of: its elements' names, ids and addresses, and the text that a reader sees."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.plots: list[dict[str, object]] = []
        self.words: list[str] = []
        self._within: str | None = None
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.ids |= {str(found["id"])} if "id" in found else set()
        self.addresses += [str(found[key]) for key in ("src", "href", "action") if key in found]
        if tag in ("script", "style"):
            self._within = found.get("type") or tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._within = None

    def handle_data(self, data: str) -> None:
        if self._within is None:
            self.words.append(data)
        elif self._within == "application/json":
            self.plots.append(json.loads(data))


def _config(**changes: object) -> dict[str, object]:
    return {
        "name": "small",
        "steps": 300,
        "instruments": {"ACME": {"initial_price": 1_000}},
        "populations": TRADERS,
    } | changes


def _report(tmp_path: Path, *runs: simlab.Run) -> _Page:
    return _Page(write_report(list(runs), tmp_path / "report.html"))


def _recorded(tmp_path: Path, **changes: object) -> simlab.Run:
    return simlab.run(_config(**changes), out=tmp_path / "runs")


def test_a_report_is_one_file_with_every_section_and_figure(day: simlab.Run, tmp_path: Path) -> None:
    path = write_report(day, tmp_path / "deep" / "report.html")
    page = _Page(path)
    assert page.ids >= SECTIONS
    assert path.stat().st_size < 8 * MEGABYTES
    assert len(page.plots) == 10
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    for expected in (
        "Price of ACME",
        "Order book of ACME",
        "Who earned from whom",
        "makers",
        day.event_log_hash,
    ):
        assert expected in page.text


def test_the_figures_carry_units_and_the_run_its_numbers(day: simlab.Run, tmp_path: Path) -> None:
    page = _report(tmp_path, day)
    titles = {
        axis["title"]["text"]
        for plot in page.plots
        for name, axis in plot["layout"].items()
        if re.match("[xy]axis", name) and axis.get("title", {}).get("text")
    }
    assert {"price (currency)", "spread (currency)", "depth at best (lots)", "P&L (currency)"} <= titles
    best = day.leaderboard().iloc[0]
    assert f"{best['total'] * 0.01:,.2f}" in page.text
    assert f"{len(day.trades()):,} trades" in page.text


def test_the_same_run_gives_the_same_page(day: simlab.Run, tmp_path: Path) -> None:
    first = write_report(day, tmp_path / "a.html").read_bytes()
    assert first == write_report(simlab.open(day.path), tmp_path / "b.html").read_bytes()


def test_every_instrument_has_its_part(two_shares: simlab.Run, tmp_path: Path) -> None:
    page = _report(tmp_path, two_shares)
    assert {"market-0", "market-1"} <= page.ids
    assert "Price of ACME" in page.text
    assert "Price of BOLT" in page.text
    assert "point at one to read it" in page.text


def test_instruments_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    names = [f"I{place}" for place in range(9)]
    run = _recorded(tmp_path, steps=50, instruments={name: {"initial_price": 1_000} for name in names})
    page = _report(tmp_path, run)
    assert "and 3 left out" in page.text
    assert "market-5" in page.ids
    assert "market-6" not in page.ids


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("depth_every", "the table depth was not recorded; set recording.depth_every: 100"),
        ("accounts_every", "the table accounts was not recorded; set recording.accounts_every: 1000"),
        ("quotes_every", "the table quotes was not recorded; set recording.quotes_every: 1"),
    ],
)
def test_what_was_not_recorded_is_said_with_its_key(tmp_path: Path, key: str, said: str) -> None:
    page = _report(tmp_path, _recorded(tmp_path, recording={key: 0}))
    assert said in page.text.replace("The table", "the table")
    assert page.ids >= SECTIONS


@pytest.mark.parametrize("populations", [{}, TRADERS], ids=["nobody", "idle"])
def test_a_run_without_trades_has_a_page(tmp_path: Path, populations: dict[str, object]) -> None:
    idle = {name: it | {"activation": {"rate": 0.0}} for name, it in populations.items()}
    page = _report(tmp_path, _recorded(tmp_path, populations=idle))
    assert page.ids >= SECTIONS
    assert "0 trades were recorded" in page.text
    assert "nobody traded" in page.text


def test_zero_trades_read_as_a_number(tmp_path: Path) -> None:
    page = _report(tmp_path, _recorded(tmp_path, populations={}))
    assert re.search(r"trades\s+0\s+fills\s+volume\s+0\s+lots", page.text)


@pytest.mark.parametrize("name", ["page.html", "page.HTML", "page", "page.txt"])
def test_a_file_holds_what_it_is_called(day: simlab.Run, tmp_path: Path, name: str) -> None:
    assert write_report(day, tmp_path / name).read_bytes().startswith(b"<!doctype html>")


def test_a_format_that_a_file_is_not_called_by_is_refused(day: simlab.Run, tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match=r"page\.PDF is no name for a report in html; call it \.html"):
        write_report(day, tmp_path / "page.PDF", "html")
    with pytest.raises(AnalysisError, match=r"page\.Html is no name for a report in pdf"):
        write_report(day, tmp_path / "page.Html", "pdf")


def test_a_file_called_pdf_is_printed(
    day: simlab.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROME", str(tmp_path / "no-browser"))
    with pytest.raises(AnalysisError, match="the environment variable CHROME names"):
        write_report(day, tmp_path / "page.PDF")
    assert not (tmp_path / "page.PDF").exists()


def test_a_run_beside_itself_is_refused(day: simlab.Run, tmp_path: Path) -> None:
    again = simlab.open(day.path.parent / ".." / day.path.parent.name / day.path.name)
    with pytest.raises(AnalysisError, match=r"is given twice; a run beside itself tells nothing"):
        write_report([day, again], tmp_path / "page.html")


def test_runs_that_differ_in_length_are_called_so(day: simlab.Run, tmp_path: Path) -> None:
    short = simlab.run(CONFIGS / "quickstart.yaml", steps=400, out=tmp_path)
    page = _report(tmp_path, day, short)
    assert "Runs differ in length: steps 6,000 (steps=6000), 400 (steps=400)" in page.text


def test_an_unfinished_run_is_shown_as_far_as_it_went(killed: simlab.Run, tmp_path: Path) -> None:
    page = _report(tmp_path, killed)
    assert page.text.count("unfinished (killed") == 2  # in the summary, and with the facts
    assert "recorded to step 4,000 of 6,000" in page.text
    assert "4,000 steps" in page.text
    assert len(page.plots) == 10


@pytest.mark.parametrize("table", ["trades", "quotes", "depth", "accounts", "messages"])
def test_a_run_that_lost_a_table_has_a_page(day: simlab.Run, tmp_path: Path, table: str) -> None:
    folder = shutil.copytree(day.path, tmp_path / "lost")
    shutil.rmtree(folder / table)
    assert _report(tmp_path, simlab.open(folder)).ids >= SECTIONS


def test_many_populations_fit_on_the_page(tmp_path: Path) -> None:
    one = TRADERS["noise"] | {"count": 1}
    run = _recorded(tmp_path, steps=30, populations={f"p{place:04}": one for place in range(150)})
    path = write_report(run, tmp_path / "report.html")
    page = _Page(path)
    assert path.stat().st_size < 8 * MEGABYTES
    assert "of 150 populations" in page.text
    assert page.tags.count("tr") < 400


def test_a_hundred_thousand_agents_have_a_top_and_a_bottom(tmp_path: Path) -> None:
    crowd = {"noise": TRADERS["noise"] | {"count": 100_000, "activation": {"rate": 0.01}}}
    path = write_report(_recorded(tmp_path, steps=5, populations=crowd), tmp_path / "report.html")
    page = _Page(path)
    assert path.stat().st_size < 8 * MEGABYTES
    assert "The best and worst 10 of 100,000 agents" in page.text
    assert page.tags.count("tr") < 200


def test_what_a_user_writes_is_text_and_never_markup(tmp_path: Path) -> None:
    news = {
        "scheduled": [{"step": 50, "instrument": "ACME", "headline": HOSTILE, "sentiment": 1.0, "impact": 1}]
    }
    run = _recorded(tmp_path, name="small", description=HOSTILE, news=news)
    path = write_report(run, tmp_path / "report.html")
    page = _Page(path)
    source = path.read_text(encoding="utf-8")
    assert "<script>alert" not in source
    assert "<img src=x" not in source
    assert "img" not in page.tags
    assert HOSTILE in page.text  # as the subtitle, read by a person
    said = [trace.get("text") for plot in page.plots for trace in plot["data"] if trace.get("name") == "news"]
    assert said
    assert "<" not in json.dumps(said)


def test_a_long_configuration_is_cut_and_says_so(tmp_path: Path) -> None:
    run = _recorded(tmp_path, steps=20)
    lines = "\n".join(f"# {line}" for line in range(5_000))
    (run.path / "config.yaml").write_text((run.path / "config.yaml").read_text() + lines)
    assert "are left out; all are in config.yaml" in _report(tmp_path, run).text


def test_a_run_without_its_configuration_has_a_page(tmp_path: Path) -> None:
    run = _recorded(tmp_path, steps=20)
    (run.path / "config.yaml").unlink()
    assert "configuration is not known" in _report(tmp_path, simlab.open(run.path)).text


def test_several_runs_are_compared(tmp_path: Path) -> None:
    runs = [_recorded(tmp_path, seed=seed) for seed in (1, 2)]
    more = {"noise": TRADERS["noise"] | {"count": 40}}
    runs += [_recorded(tmp_path, seed=seed, populations=more) for seed in (1, 2)]
    page = _report(tmp_path, *runs)
    assert page.ids >= {"summary", "differences", "comparison", "market", "pnl", "config", "provenance"}
    assert "differ in 2 keys: seed, populations.noise.count" in page.text
    assert len(page.plots) >= 3
    assert all(len(plot["data"]) == len(runs) for plot in page.plots[-3:])
    assert "(2 seeds)" in page.text
    assert "paired by seed" in page.text
    assert all(run.event_log_hash in page.text for run in runs)


def test_runs_with_one_folder_name_are_told_apart(tmp_path: Path) -> None:
    runs = [simlab.run(_config(steps=50), out=tmp_path / name) for name in ("left", "right")]
    page = _report(tmp_path, *runs)
    assert f"left/{runs[0].path.name}" in page.text
    assert f"right/{runs[1].path.name}" in page.text
    assert "resolved configurations are the same" in page.text


def test_no_run_and_unknown_formats_are_refused(day: simlab.Run, tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="no run to report on"):
        write_report([], tmp_path / "report.html")
    with pytest.raises(AnalysisError, match="no report format 'docx'; choose html or pdf"):
        write_report(day, tmp_path / "report.docx", format="docx")


def test_pdf_without_a_browser_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _recorded(tmp_path, steps=20)
    monkeypatch.setenv("CHROME", str(tmp_path / "no-such-browser"))
    with pytest.raises(AnalysisError, match="environment variable CHROME"):
        write_report(run, tmp_path / "report.pdf", format="pdf")
    monkeypatch.delenv("CHROME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnalysisError, match="install one"):
        write_report(run, tmp_path / "report.pdf", format="pdf")
    assert not (tmp_path / "report.pdf").exists()


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AnalysisError, match="cannot write the report"):
        write_report(_recorded(tmp_path, steps=20), tmp_path / "file" / "report.html")
