"""The job that scores architectures: same values in another process, errors raised or kept, nothing left behind."""

from __future__ import annotations

import math
import pickle
import random
from dataclasses import replace
from typing import Any

import pytest
import torch

from lswag_fast import ScoreOptions, score, score_job, score_many
from lswag_fast.errors import InputError, LswagError, LswagWarning, NoActivationsError, SpaceError
from lswag_fast.execution import WorkerProcesses, open_runner
from lswag_fast.passes.shared.initialisation import initialise
from lswag_fast.score_job import ScoreJob
from lswag_fast.spaces import AutoFormer, NasBench201, TransNasMicro

CHOICES: dict[str, Any] = {"embed_dim": (16, 32), "depth": (1, 2), "num_heads": (1, 2), "mlp_ratio": (1, 2)}
SHARED = AutoFormer(**CHOICES, image_size=8, patch_size=4, num_classes=3)
CELLS = NasBench201(channels=4, cells_per_stage=1, image_size=8, num_classes=3)
BATCH = torch.randn(12, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3
ARCH = SHARED.sample(random.Random(0))
TEXT = SHARED.encode(ARCH)
CELL = {"cell": "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"}


def threads() -> int:
    return torch.get_num_threads()  # torch's sums depend on it


def test_it_gives_the_scores_of_the_network_that_it_builds() -> None:
    job = ScoreJob(SHARED, BATCH, ("lswag", "nwot"), seed=3, n_threads=threads())
    model = SHARED.build(ARCH, SHARED.init_weights(3))
    expected = score_many(model, BATCH, proxies=["lswag", "nwot"], seed=3)
    assert job(TEXT) == {"lswag": expected["lswag"].value, "nwot": expected["nwot"].value}
    assert job.report(TEXT).values == job(TEXT)
    assert replace(job, proxies=("nwot",))(TEXT) == {"nwot": job(TEXT)["nwot"]}
    layers = score(model, BATCH, seed=3).layers
    assert [row["trainability"] for row in job.profile(ARCH)["layers"]] == [layer.trainability for layer in layers]


@pytest.mark.parametrize(("precision", "isa"), [("float32", "avx512"), ("bfloat16", "avx512_bf16")])
def test_an_instruction_set_with_the_same_bits_is_the_same_setting(
    precision: Any, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_job, "isa_active", lambda: "avx512_bf16")
    assert ScoreJob(SHARED, BATCH, ("lswag",), options=ScoreOptions(precision=precision)).settings().isa == isa


def test_options_mode_and_initialisation_reach_the_network_and_the_score() -> None:
    options = ScoreOptions(gradient="signed", pattern_samples=8, seed=99, init="kaiming")
    job = ScoreJob(CELLS, BATCH, ("lswag",), mode="eval", seed=4, n_threads=threads(), options=options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = CELLS.build(CELL)
    initialise(model, "kaiming", 4).eval()
    assert job(CELLS.encode(CELL)) == {"lswag": score(model, BATCH, options=options, seed=4, init="own").value}
    settings = job.settings()
    assert (settings.mode, settings.initialisation, settings.options) == (
        "eval",
        "kaiming",
        {"gradient": "signed", "pattern_samples": 8},
    )


def test_it_says_the_same_after_pickling_and_in_a_worker() -> None:
    job = ScoreJob(SHARED, BATCH, ("nwot",), seed=3)
    expected = job(TEXT)
    content = pickle.dumps(job)
    assert len(content) < 2 * len(pickle.dumps(BATCH))  # without the weights that were drawn
    assert pickle.loads(content)(TEXT) == expected
    with WorkerProcesses(1) as workers, open_runner(job, workers) as runner:
        assert runner.submit(TEXT).result() == expected


def test_fresh_weights_are_drawn_for_each_network_and_given_ones_are_cut() -> None:
    first = ScoreJob(SHARED, BATCH, ("nwot",), weights="fresh", seed=1).network(ARCH)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        own = SHARED.build(ARCH)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), own.parameters(), strict=True))
    weights = SHARED.init_weights(7)
    given = ScoreJob(SHARED, BATCH, ("nwot",), weights=weights)
    cut = SHARED.build(ARCH, weights)
    assert all(torch.equal(a, b) for a, b in zip(given.network(ARCH).parameters(), cut.parameters(), strict=True))
    assert given.settings().weights_fingerprint != ScoreJob(SHARED, BATCH, ("nwot",)).settings().weights_fingerprint


def test_called_it_raises_what_the_report_keeps() -> None:
    cell = CELLS.encode(CELL)
    one = ScoreJob(CELLS, BATCH, ("dss",), mode="eval")
    with pytest.raises(LswagError, match=r"^dss is for vision transformers"):
        one(cell)
    many = replace(one, proxies=("params", "dss"))
    with pytest.raises(LswagError, match=r"^dss is for vision transformers"):
        many(cell)
    report = many.report(cell)
    assert report.values["params"] == CELLS.n_params(CELLS.decode(cell))
    assert math.isnan(report.values["dss"])
    assert list(report.errors) == ["dss"]
    assert report.elapsed_s > 0


def test_a_batch_that_nothing_can_be_had_from_is_the_reason_of_all() -> None:
    same = BATCH[0][:1].expand(12, -1, -1, -1), BATCH[1] * 0
    report = ScoreJob(SHARED, same, ("nwot", "snip")).report(TEXT)
    assert list(report.errors) == ["all"]
    assert report.errors["all"].startswith("ZeroVarianceError: all 12 samples")
    assert all(math.isnan(value) for value in report.values.values())
    with pytest.raises(SpaceError):  # what is no architecture has no report
        ScoreJob(SHARED, BATCH, ("nwot",)).report("{}")


def test_the_report_keeps_our_warnings_once() -> None:
    report = ScoreJob(CELLS, BATCH, ("snip", "grad_norm"), mode="train").report(CELLS.encode(CELL))
    assert [text for text in report.warnings if "BatchNorm in train mode" in text] == list(report.warnings)
    assert len(report.warnings) == 1


def test_a_function_in_the_place_of_proxies() -> None:
    job = ScoreJob(SHARED, BATCH, function=lambda model, batch: len(batch[1]))
    assert job(TEXT) == {"score": 12.0}
    assert job.settings().function == "test_a_function_in_the_place_of_proxies.<locals>.<lambda>"

    def refuse(model: Any, batch: Any) -> float:
        raise NoActivationsError("none")

    with pytest.raises(NoActivationsError):
        ScoreJob(SHARED, BATCH, function=refuse)(TEXT)


def test_random_state_and_threads_are_left_as_they_were() -> None:
    torch.manual_seed(0)
    state, n_threads = torch.get_rng_state(), threads()
    job = ScoreJob(CELLS, BATCH, ("nwot",), mode="eval", n_threads=n_threads + 1, options=ScoreOptions(init="xavier"))
    job(CELLS.encode(CELL))
    assert job.latency_ms(CELL) > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert threads() == n_threads


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"name proxies or pass a function; found \(\) and None"),
        ({"proxies": ("lswag",), "function": len}, "name proxies or pass a function"),
        ({"proxies": ("snipp",)}, "did you mean 'snip'"),
        ({"proxies": ("te_nas",)}, "name the parts of ranked proxies"),
        ({"proxies": ("snip",), "mode": "test"}, "mode must be 'train', 'eval' or None, got 'test'"),
        ({"proxies": ("snip",), "seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"proxies": ("snip",), "seed": 2**64}, r"seed must be below 2\*\*64"),
        ({"proxies": ("snip",), "n_threads": 100_000_000}, "n_threads must be at most 1,024, got 100000000"),
        ({"proxies": ("snip",), "n_threads": "2"}, "n_threads must be an integer >= 1, got '2'"),
        ({"proxies": ("snip",), "options": {"seed": 1}}, r"options must be ScoreOptions\(...\), got {'seed': 1}"),
        (
            {"proxies": ("vkdnw", "snip"), "options": ScoreOptions(proxy_options={"vkdnw": {"scalars": "some"}})},
            "^vkdnw: scalars must be 'weights' or 'all', got 'some'",
        ),
        (
            {"proxies": ("vkdnw", "snip"), "options": ScoreOptions(proxy_options={"snip": {"mu": 1.0}})},
            "^proxy 'snip' has no option 'mu'",
        ),
        ({"proxies": "snip"}, "proxies must be a list of names, got 'snip'"),
        ({"proxies": 3}, "proxies must be a list of names, got 3"),
        ({"proxies": ("snip", 3)}, "proxies must be a list of names, got a list of int"),
        ({"function": "snip"}, r"function must be a function \(model, batch\) -> float, got 'snip'"),
    ],
)
def test_what_could_score_nothing_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ScoreJob(SHARED, BATCH, **arguments)


@pytest.mark.parametrize("n", [8, 12])
@pytest.mark.parametrize("stored", [None, "exact", "fast"])
def test_a_search_is_fast_where_nothing_else_is_said_and_it_makes_a_difference(n: int, stored: Any) -> None:
    job = ScoreJob(SHARED, (BATCH[0][:n], BATCH[1][:n]), ("zico", "nwot"))
    of_study = {None: None, "exact": {}, "fast": {"fidelity": "fast"}}[stored]
    found = job.at_fidelity(of_study).options.fidelity
    assert found == (stored or ("fast" if n > 8 else "exact"))  # 8 samples are all of 8
    for given in ("exact", "fast"):
        chosen = replace(job, options=ScoreOptions(fidelity=given)).at_fidelity(of_study)
        assert chosen.options.fidelity == ("exact" if given == "exact" or (n == 8 and stored != "fast") else "fast")


@pytest.mark.parametrize(
    ("proxies", "stored", "wanted"),
    [
        (("lswag", "nwot"), None, {"fidelity": "fast", "gradient_samples": 4}),
        (("lswag", "zico"), None, {"fidelity": "fast"}),
        (("lswag",), {"fidelity": "fast", "gradient_samples": 4}, {"fidelity": "fast", "gradient_samples": 4}),
        (("lswag",), {"fidelity": "fast"}, {"fidelity": "fast"}),  # of 8 samples, as all were when it was begun
    ],
)
def test_a_study_goes_on_with_the_gradients_that_it_was_begun_with(
    proxies: tuple[str, ...], stored: Any, wanted: dict[str, Any]
) -> None:
    job = ScoreJob(SHARED, BATCH, proxies, n_threads=threads()).at_fidelity(stored)
    assert job.settings().options == wanted
    model, samples = SHARED.build(ARCH, SHARED.init_weights(0)), wanted.get("gradient_samples", 8)
    found = score_many(model, BATCH, proxies=list(proxies), gradient_samples=samples)
    assert job(TEXT) == {name: found[name].value for name in proxies}
    exact = score_many(model, BATCH, proxies=list(proxies))
    assert job.exact(TEXT) == {name: exact[name].value for name in proxies}


@pytest.mark.parametrize(
    "changes",
    [
        {"proxies": ("nwot", "swap", "synflow", "params", "jacov", "te_nas_ntk")},  # no gradients of single samples
        {"proxies": ("lswag", "snip")},  # which few gradients rank in another order
        {"proxies": (), "function": len},
        {"options": ScoreOptions(gradient_samples=10)},
        {"options": ScoreOptions(variance="microbatch:12")},  # more micro-batches than there are samples
        {"batch": [(BATCH[0][:6], BATCH[1][:6]), (BATCH[0][6:], BATCH[1][6:])]},
    ],
)
def test_where_fast_makes_no_difference_or_does_not_do_a_search_is_exact(changes: dict[str, Any]) -> None:
    job = replace(ScoreJob(SHARED, BATCH, ("lswag",)), **changes)
    found = job.at_fidelity()
    assert found.options.fidelity == "exact"
    assert found.settings().options == job.settings().options  # such a study is the one of before


@pytest.mark.parametrize("options", [{"chunk_size": 4}, {"variance": "microbatch:4"}, {"layers": (0, 5)}])
def test_other_options_keep_their_meaning_at_either_fidelity(options: dict[str, Any]) -> None:
    job = ScoreJob(SHARED, BATCH, ("lswag", "swap"), options=ScoreOptions(**options), n_threads=threads()).at_fidelity()
    assert job.settings().options == {"fidelity": "fast", **replace(job.options, fidelity=None, seed=0).changed()}
    assert job.options.gradient_samples == 4
    model = SHARED.build(ARCH, SHARED.init_weights(0))
    for values, fewer in ((job(TEXT), {"gradient_samples": 4}), (job.exact(TEXT), {})):
        wanted = score_many(model, BATCH, proxies=["lswag", "swap"], **options, **fewer)
        assert values == {name: wanted[name].value for name in ("lswag", "swap")}
    assert job(TEXT)["swap"] == job.exact(TEXT)["swap"]


def test_fast_is_refused_where_it_does_not_fit() -> None:
    options = ScoreOptions(fidelity="fast", variance="microbatch:12")
    with pytest.raises(InputError, match=r"does not divide the 4 samples .* \(gradient_samples of fidelity='fast'\)"):
        ScoreJob(SHARED, BATCH, ("lswag",), options=options).at_fidelity().check_batch()


def test_a_profile_says_where_the_time_of_a_candidate_goes() -> None:
    seconds = ScoreJob(SHARED, BATCH, ("lswag",)).at_fidelity().profile(ARCH)["seconds"]
    assert sorted(seconds) == ["backward", "build", "forward", "kernel", "other"]
    assert min(seconds.values()) > 0


def test_a_profile_does_not_warn_of_what_no_proxy_reads() -> None:
    few = BATCH[0][:2], BATCH[1][:2]
    with pytest.warns(LswagWarning, match="the batch of 2 is smaller than the"):
        ScoreJob(SHARED, few, ("lswag",))(TEXT)
    assert ScoreJob(SHARED, few, ("params",)).profile(ARCH)["layers"]  # a warning would be an error here


@pytest.mark.filterwarnings("ignore::lswag_fast.errors.LswagWarning")  # BatchNorm in train mode
def test_the_task_and_the_mode_are_those_of_the_space() -> None:
    space = TransNasMicro(task="room_layout", image_size=16, channels=4)
    batch = BATCH[0].new_zeros(4, 3, 16, 16).normal_(generator=torch.Generator().manual_seed(0)), torch.ones(4, 9)
    job = ScoreJob(space, batch, ("grad_norm",), n_threads=threads())
    assert (job.options.task, job.settings().options) == ("regression", {})  # the space has said it already
    arch = space.encode(space.decode("4-41414-3_30_232"))
    model = job.network(space.decode(arch))
    assert model.training
    expected = score(model, batch, proxy="grad_norm", loss_fn=lambda o, t: (o - t).square().mean(1))
    assert job(arch) == {"grad_norm": expected.value}
    assert not ScoreJob(SHARED, BATCH, ("nwot",)).network(SHARED.sample(random.Random(0))).training
    with pytest.raises(InputError, match="task: the networks of transnas-micro are made for 'regression', found 'jigs"):
        ScoreJob(space, batch, ("grad_norm",), options=ScoreOptions(task="jigsaw"))
    own = ScoreJob(CELLS, BATCH, ("nwot",), options=ScoreOptions(task="multi_label"))
    assert own.settings().options == {"task": "multi_label"}
