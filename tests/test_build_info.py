"""build_info: the facts agree with the kernels, and each thing that can be wrong is named."""

import pytest
import torch

import lswag_fast
from lswag_fast import build_info, kernels
from lswag_fast.errors import BackendUnavailableError


def test_facts_of_this_process() -> None:
    info = build_info.info()
    assert info.version == lswag_fast.__version__ == kernels.build_facts().version
    assert "baseline" in info.isas_compiled or "neon" in info.isas_compiled
    assert set(info.isas_supported) <= set(info.isas_compiled)
    assert info.isa_active in info.isas_supported
    assert info.torch_version == torch.__version__
    assert info.torch_threads == torch.get_num_threads()
    assert info.devices[0] == "cpu"
    assert len(info.devices) == 1 or info.cuda_toolkit
    assert (info.cuda_toolkit, info.cuda_architectures) == kernels.build_facts()[-2:]
    assert info.compiler.split()[0] in ("GNU", "Clang", "AppleClang")


def test_active_set_follows_the_choice() -> None:
    for isa in kernels.isa_list():
        kernels.set_isa(isa)
        try:
            assert build_info.info().isa_active == isa
        finally:
            kernels.set_isa(None)


def test_bfloat16_is_there_or_refused_for_a_reason() -> None:
    for isa in kernels.isa_list():
        kernels.set_isa(isa)
        try:
            info = build_info.info()
            problem = kernels.bfloat16_problem()
        finally:
            kernels.set_isa(None)
        shown = f"no: {problem}" if problem else "multiplied by the CPU's own instructions"
        assert f"bfloat16          {shown}" in build_info.format_info(info)
        assert (info.bfloat16_problem or None) == problem
        assert problem is None if isa in ("amx", "avx512_bf16") else problem is not None or isa == "avx512"


def test_two_openmp_runtimes_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    for runtimes, n_problems in ((("/a/libgomp.so.1",), 0), (("/a/libgomp.so.1", "/b/libomp.so"), 1)):
        monkeypatch.setattr(build_info, "openmp_runtimes", lambda found=runtimes: found)
        info = build_info.info()
        assert len(info.problems) == n_problems
        assert ("2 OpenMP runtimes are loaded (/a/libgomp.so.1, /b/libomp.so)" in build_info.format_info(info)) == bool(
            n_problems
        )


def test_unknown_forced_set_is_a_problem_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSWAG_ISA", "mmx")
    info = build_info.info()
    assert info.isa_active == "unknown"
    assert any("mmx" in problem for problem in info.problems)
    assert info.isas_supported


def test_missing_extension_is_a_problem_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> kernels.BuildFacts:
        raise BackendUnavailableError("the binary extension cannot be imported")

    monkeypatch.setattr(kernels, "build_facts", missing)
    info = build_info.info()
    assert info.devices == () and info.isas_compiled == ()
    assert "cannot be imported" in info.problems[0]
    assert "none compiled" in build_info.format_info(info)


def test_stale_extension_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = kernels.build_facts()._replace(version="0.0.1")
    monkeypatch.setattr(kernels, "build_facts", lambda: stale)
    assert any("built for version 0.0.1" in problem for problem in build_info.info().problems)


def test_a_tree_that_was_never_installed_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_info, "__version__", "unknown")
    assert not any("built for version" in problem for problem in build_info.info().problems)


def test_text_names_every_fact() -> None:
    info = build_info.info()
    text = build_info.format_info(info)
    cuda = f"built with CUDA {info.cuda_toolkit}" if info.cuda_toolkit else "built without CUDA"
    for fact in (info.version, info.compiler, info.isa_active, info.torch_version, *info.isas_compiled, cuda):
        assert fact in text
