"""A study runs its trials in workers, in order; its claims come out as a table that can be written again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from simlab.errors import AnalysisError, ConfigError, PluginError, SimlabError
from simlab.runner.replicate import choose, read_results, replicate, replicate_all
from simlab.runner.study import Claim, Lab, Trial, find_studies

EXPERIMENT = """
name: tiny
steps: 50
instruments: {ACME: {initial_price: 100}}
populations:
  noise: {strategy: noise, count: 5, account: {cash: 1_000_000, short_selling: free}}
"""
ANALYSIS = """
from __future__ import annotations

from dataclasses import dataclass

from simlab.runner.study import Claim, Trial, mean_interval

SCALE = 2

@dataclass(frozen=True)
class Volume:
    lots: int

def volume(run):
    return Volume(SCALE * int(run.trades()["quantity"].sum()))

def double(number):
    return SCALE * number

def study(lab):
    trials = [Trial(seed, {"populations.noise.count": 8}, steps=80) for seed in lab.seeds(30)]
    found = lab.runs(volume, trials)
    mean, low, high = mean_interval([one.lots for one in found])
    assert lab.map(double, [1, 2]) == [2, 4]
    return [
        Claim("They trade", "some lots", mean, low, high, holds=low > 0, unit=" lots"),
        Claim("They | trade a lot", "1e9", mean, low, high, holds=mean > 1e9, reason="They are few."),
    ]
"""


def write_study(folder: Path, name: str = "tiny_2026", analysis: str = ANALYSIS) -> Path:
    """Write a study into a folder of studies."""
    study = folder / name
    study.mkdir(parents=True)
    (study / "experiment.yaml").write_text(EXPERIMENT)
    (study / "analysis.py").write_text(analysis)
    (study / "README.md").write_text("# Tiny (2026): trade\n\nA study.\n")
    return study


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Return a folder with two studies."""
    write_study(tmp_path)
    write_study(tmp_path, "other_2026")
    return tmp_path


def test_result_does_not_depend_on_the_number_of_workers(studies: Path) -> None:
    study = find_studies(studies)["tiny_2026"]
    alone, _ = replicate(study, jobs=1, quick=True)
    together, _ = replicate(study, jobs=2, quick=True)
    assert alone.claims == together.claims
    assert alone.title == "Tiny (2026): trade"
    assert alone.claims[0].estimate > 0
    assert [claim.verdict for claim in alone.claims] == ["reproduced", "not reproduced"]


def test_quick_takes_a_tenth_of_the_seeds() -> None:
    assert list(Lab(Path()).seeds(30)) == list(range(1, 31))
    assert list(Lab(Path(), quick=True).seeds(50)) == [1, 2, 3, 4, 5]
    assert list(Lab(Path(), quick=True).seeds(20)) == [1, 2, 3]
    assert list(Lab(Path(), quick=True).seeds(2)) == [1, 2]


def test_table_is_written_between_its_marks_and_keeps_what_was_there(studies: Path) -> None:
    page = studies / "README.md"
    replicate_all(studies, ["tiny_2026"], jobs=1)
    page.write_text(page.read_text().replace("# Studies", "# My studies"))
    replicate_all(studies, ["other_2026"], jobs=1)
    text = page.read_text()
    assert text.startswith("# My studies")
    assert text.count("[Tiny (2026): trade](tiny_2026)") == 1
    assert text.count("[Tiny (2026): trade](other_2026)") == 1
    assert "They \\| trade a lot" in text
    assert "2 of 4 claims reproduced" in text
    assert "- tiny_2026, They | trade a lot: They are few." in text
    assert set(read_results(studies)) == {"tiny_2026", "other_2026"}


def test_running_a_study_again_gives_the_same_claims(studies: Path) -> None:
    replicate_all(studies, ["tiny_2026"], jobs=2)
    first = json.loads((studies / "results.json").read_text())
    replicate_all(studies, ["tiny_2026"], jobs=1)
    second = json.loads((studies / "results.json").read_text())
    assert first[0]["claims"] == second[0]["claims"]


def test_quick_writes_nothing(studies: Path) -> None:
    replicate_all(studies, ["tiny_2026"], jobs=1, quick=True)
    assert not (studies / "results.json").exists()
    assert not (studies / "README.md").exists()


def test_unknown_study_is_an_error_with_the_nearest_name(studies: Path) -> None:
    with pytest.raises(PluginError, match=r"no study 'tiny_2062'.*did you mean 'tiny_2026'"):
        choose(studies, ["tiny_2062"])


def test_folder_without_studies_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"a study is a folder with experiment\.yaml, analysis\.py"):
        find_studies(tmp_path)


def test_half_a_study_is_an_error(studies: Path) -> None:
    (studies / "tiny_2026" / "README.md").unlink()
    with pytest.raises(PluginError, match=r"tiny_2026 lacks README\.md"):
        find_studies(studies)


def test_a_folder_with_other_work_is_no_study(studies: Path) -> None:
    (studies / "training").mkdir()
    (studies / "training" / "README.md").write_text("A policy, and how it was trained.", "utf-8")
    assert "training" not in find_studies(studies)


@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        ("x = 1", r"has no function study\(lab\)"),
        ("def study(lab): return []", "must return a list of Claim"),
        ("def study(lab): pass", "must return a list of Claim"),
    ],
)
def test_analysis_that_is_none_is_an_error(tmp_path: Path, analysis: str, message: str) -> None:
    write_study(tmp_path, analysis=analysis)
    with pytest.raises(PluginError, match=message):
        replicate(find_studies(tmp_path)["tiny_2026"], jobs=1)


def test_error_in_a_trial_reaches_the_caller(studies: Path) -> None:
    with Lab(studies / "tiny_2026", jobs=2) as lab, pytest.raises(ConfigError, match=r"populations\.nois"):
        lab.runs(len, [Trial(1, {"populations.nois.count": 1})])


def test_page_without_marks_is_left_alone(studies: Path) -> None:
    (studies / "README.md").write_text("# Mine\n")
    with pytest.raises(PluginError, match="results: begin"):
        replicate_all(studies, ["tiny_2026"], jobs=1)
    assert (studies / "README.md").read_text() == "# Mine\n"


def test_claim_that_does_not_hold_needs_a_reason() -> None:
    with pytest.raises(PluginError, match="say in `reason` why"):
        Claim("c", "p", 1.0, 0.0, 2.0, holds=False)


@pytest.mark.parametrize("numbers", [("nan", 0, 2), (1, "-inf", 2), (1, 0, "nan")])
def test_claim_needs_numbers(numbers: tuple[float | str, ...]) -> None:
    with pytest.raises(AnalysisError, match=r"claim 'c' .* not a number: .*(nan|inf).*; a trial may have"):
        Claim("c", "p", *map(float, numbers), holds=True)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        ("Claim('c', 'p', *mean_interval([1, float('nan')]), holds=False, reason='r')", AnalysisError, "nan"),
        ("Claim('c', 'p', *mean_interval([1]), holds=True)", AnalysisError, "at least 2 values"),
        ("Claim('c', 'p', 1, 0, 2, holds=False)", PluginError, "claim 'c' does not hold"),
    ],
)
def test_study_that_measures_nothing_is_named(
    tmp_path: Path, returned: str, error: type[Exception], message: str
) -> None:
    start = "from simlab.runner.study import Claim, mean_interval\ndef study(lab):\n    return"
    write_study(tmp_path, analysis=f"{start} [{returned}]\n")
    with pytest.raises(error, match=rf"study tiny_2026: .*{message}"):
        replicate(find_studies(tmp_path)["tiny_2026"], jobs=1)


FAILING = """
from simlab.runner.study import Claim, Trial

def reduce(run):
    {in_trial}
    return 1

def study(lab):
    found = lab.runs(reduce, [Trial(1, steps=5), Trial(2, steps=5)])
    {in_study}
    return [Claim("c", "p", 1, 0, 2, holds=True)]
"""


@pytest.mark.parametrize(
    ("in_trial", "in_study", "told"),
    [
        ("1 / 0", "", r"Trial\(seed=[12], .*\): ZeroDivisionError: .*analysis\.py, line 5, in reduce\)"),
        ("raise SystemExit", "", r"Trial\(seed=[12], .*\): SystemExit \(.*analysis\.py, line 5, in reduce\)"),
        ("run.trades(columns=['prise'])", "", r"trades has no column 'prise'; did you mean 'price'\?"),
        ("", "found['x']", r"TypeError: list indices .*analysis\.py, line 10, in study\)"),
        ("", "raise SystemExit(3)", r"SystemExit: 3 \(.*analysis\.py, line 10, in study\)"),
        ("", "lab.figure('f.png')", r"lab\.figure takes a Plotly figure, not str"),
    ],
)
def test_a_study_that_raises_is_told_with_file_and_line(
    tmp_path: Path, in_trial: str, in_study: str, told: str
) -> None:
    write_study(tmp_path, analysis=FAILING.format(in_trial=in_trial or "pass", in_study=in_study))
    with pytest.raises(SimlabError, match=rf"^study tiny_2026: {told}"):
        replicate(find_studies(tmp_path)["tiny_2026"], jobs=1)


def test_a_trial_that_raises_in_a_worker_is_told_with_file_and_line(tmp_path: Path) -> None:
    write_study(tmp_path, analysis=FAILING.format(in_trial="raise SystemExit", in_study=""))
    with pytest.raises(PluginError, match=r"Trial\(seed=.*SystemExit \(.*analysis\.py, line 5, in reduce\)"):
        replicate(find_studies(tmp_path)["tiny_2026"], jobs=2)


@pytest.mark.parametrize(
    ("analysis", "told"),
    [
        ("def study(lab:\n", r"analysis\.py cannot be loaded: SyntaxError: .*analysis\.py, line 1"),
        ("import no_such_module\n", "cannot be loaded: ModuleNotFoundError: .*analysis\\.py, line 1, in"),
        ("x = 1\n\ny = x.z\n", "cannot be loaded: AttributeError: .*analysis\\.py, line 3, in <module>"),
    ],
)
def test_a_study_that_cannot_be_loaded_is_told_with_file_and_line(
    tmp_path: Path, analysis: str, told: str
) -> None:
    write_study(tmp_path, analysis=analysis)
    with pytest.raises(PluginError, match=told):
        replicate(find_studies(tmp_path)["tiny_2026"], jobs=1)


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    write_study(tmp_path, analysis=FAILING.format(in_trial="1 / 0", in_study=""))
    command = [sys.executable, "-m", "simlab.cli", "replicate", "--folder", str(tmp_path), "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert re.search(
        r"study tiny_2026: .*ZeroDivisionError.* line 5, in reduce", " ".join(done.stderr.split())
    )
