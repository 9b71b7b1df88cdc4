"""Tests lie where their sources do: `a/b.py` is tested in `a/test_b.py`, or the table below says where."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lswag_fast"

# A definition in reference/ is what the proxy of its family is tested against; a part that only one other module uses
# is tested through it; a protocol by its contract.
TESTED_ELSEWHERE = {
    "cli/views/correlations.py": "cli/commands/test_correlate.py",
    "cli/views/score.py": "cli/commands/test_score.py",
    "cli/views/search.py": "cli/commands/test_search.py",
    "cli/views/selection.py": "cli/test_proxy_choice.py",
    "cli/views/study.py": "cli/commands/test_show.py",
    "execution/worker.py": "execution/test_workers.py",
    "execution/worker_slot.py": "execution/test_workers.py",
    "kernels/gradient.py": "kernels/cpu/test_gradient_stats.py",
    "kernels/machine.py": "test_build_info.py",
    "kernels/product.py": "kernels/cpu/test_float_product.py",
    "kernels/patterns.py": "kernels/cpu/test_pack_signs.py",
    "libra/fit.py": "libra/test_selection.py",
    "observe/operations/operation.py": "observe/operations/test_operations.py",
    "option_checks.py": "test_options.py",
    "plots/style.py": "plots/test_layers.py",
    "reference/az_nas.py": "proxies/test_az_nas.py",
    "reference/features.py": "proxies/test_features.py",
    "reference/gradient.py": "proxies/test_gradient.py",
    "reference/grasp.py": "proxies/test_grasp.py",
    "reference/jacobian.py": "proxies/test_jacobian.py",
    "reference/patterns.py": "proxies/test_patterns.py",
    "reference/size.py": "proxies/test_size.py",
    "reference/synflow.py": "proxies/test_synflow.py",
    "reference/te_nas.py": "proxies/test_te_nas.py",
    "reference/vkdnw.py": "proxies/test_vkdnw.py",
    "reference/zen.py": "proxies/test_zen.py",
    "reference/zico.py": "proxies/test_zico.py",
    "report/page.py": "report/test_html.py",
    "report/sections.py": "report/test_html.py",
    "spaces/autoformer/shared_weights.py": "spaces/autoformer/test_weights.py",
    "study/export.py": "cli/commands/test_export.py",
    "study/history.py": "study/test_standings.py",
    "study/samplers/protocol.py": "testing/test_samplers.py",
    "study/settings.py": "study/storage/test_sqlite.py",
    "study/storage/memory.py": "testing/test_storages.py",
    "study/storage/schema.py": "study/storage/test_sqlite.py",
    "study/stored.py": "durability/test_damage.py",
    "study/trial.py": "study/test_study.py",
}


def _sources() -> list[str]:
    found = (path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py")))
    return [path.as_posix() for path in found if not path.name.startswith("__")]


@pytest.mark.parametrize("source", [source for source in _sources() if source not in TESTED_ELSEWHERE])
def test_a_source_has_its_test(source: str) -> None:
    path = Path("tests", source)
    assert (ROOT / path.with_name(f"test_{path.name}")).is_file()


@pytest.mark.parametrize("source", TESTED_ELSEWHERE)
def test_what_is_tested_elsewhere_is_there_and_tested_there(source: str) -> None:
    assert (PACKAGE / source).is_file()
    assert (ROOT / "tests" / TESTED_ELSEWHERE[source]).is_file()
    path = Path("tests", source)
    assert not (ROOT / path.with_name(f"test_{path.name}")).exists(), (
        "it has its test by now: leave it out of the table"
    )
