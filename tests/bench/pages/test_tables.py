"""What each kind of table makes of rows whose means and extremes are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.pages import columns, combined, correlations, costs, markdown, options, training
from bench.pages.tables import TABLES, Table

BASE = '"base, layerwise"'


def plain(text: str) -> str:
    """With spaces that may break."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def lines(text: str) -> list[str]:
    """The rows of a table without its titles."""
    return plain(text).split("\n\n")[0].splitlines()[2:]


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """Where a test writes its rows."""
    return tmp_path / "rows.csv"


def test_numbers() -> None:
    assert markdown.number(-0.0004) == ".000"
    assert markdown.number(float("nan")) == ""
    assert markdown.signed(0.0004) == ".000"
    assert markdown.signed(0.25, 2) == "+.25"
    assert markdown.with_range(0.5, -0.25, 0.75) == ".500 [-.25,\N{NO-BREAK SPACE}.75]"


def test_proxies_come_by_their_mean_with_the_smallest_count(csv: Path) -> None:
    csv.write_text(
        "proxy,spearman,spearman_low,spearman_high,n,target\n"
        "low,0.1,0,0.2,100,a\nlow,0.3,0.2,0.4,90,b\nhigh,0.9,0.8,1,80,a\nhigh,0.5,0.4,0.6,80,b\n"
    )
    made = correlations.per_proxy({"a": "A", "b": "B"}, shows_mean=True, published={"low": ".2 .4"})(csv)
    assert lines(made) == [
        "| `high` | .900 [.80, 1.00] | .500 [.40, .60] | .700 | 80 |  |",
        "| `low` | .100 [.00, .20] | .300 [.20, .40] | .200 | 90 | .2 .4 |",
    ]


def test_a_proxy_of_two_tables_is_taken_from_the_first_and_kendall_is_shown_where_asked(csv: Path) -> None:
    csv.write_text("proxy,kendall,kendall_low,kendall_high,n,target\nboth,0.1,0,0.2,100,a\n")
    other = csv.with_name("other.csv")
    other.write_text("proxy,kendall,kendall_low,kendall_high,n,target\nboth,0.7,0,0.8,9,a\nnew,0.3,0.2,0.4,8,a\n")
    made = correlations.per_proxy({"a": "A"}, statistic="kendall")(csv, other)
    assert lines(made) == ["| `new` | .300 [.20, .40] | 8 |", "| `both` | .100 [.00, .20] | 100 |"]
    assert made.startswith("| Kendall [95 % interval] |")


def test_windows_of_other_networks_stand_in_one_cell(csv: Path) -> None:
    csv.write_text("proxy,spearman,spearman_low,spearman_high,n,target\np,0.1,0,0.2,9,a\nq,0.3,0.2,0.4,9,a\n")
    table1 = csv.with_name("table1.csv")
    table1.write_text("column,proxy,inside\nc,p,0.5\nd,p,0.25\nc,r,0.75\nd,r,0.5\n")
    made = correlations.per_proxy({"a": "A"}, published={"p": ".2"}, windows=("c", "d"))(csv, table1)
    assert lines(made) == ["| `q` | .300 [.20, .40] | 9 |  |  |", "| `p` | .100 [.00, .20] | 9 | .50 .25 | .2 |"]


def test_groups_of_networks_are_columns_beside_windows_with_the_count_of_each(csv: Path) -> None:
    csv.write_text(
        "proxy,spearman,spearman_low,spearman_high,n,inside,inside_low,inside_high,n_inside,target,among\n"
        "p,0.1,0,0.2,30,0.5,0.4,0.6,25,a,all\nq,0.3,0.2,0.4,30,0.7,0.6,0.8,25,a,all\n"
        "p,0.8,0.7,0.9,12,,,,,a,few\nq,0.6,0.5,0.7,12,,,,,a,few\n"
    )
    groups = (
        correlations.Group("all", "a"),
        correlations.Group("window", "a", inside=True),
        correlations.Group("few", "a", "few"),
    )
    assert lines(correlations.per_group(groups)(csv)) == [
        "| `q` | .300 [.20, .40] | .700 [.60, .80] | .600 [.50, .70] | 30, 25, 12 |",
        "| `p` | .100 [.00, .20] | .500 [.40, .60] | .800 [.70, .90] | 30, 25, 12 |",
    ]
    assert lines(correlations.per_proxy({"a": "A"})(csv))[0] == "| `q` | .300 [.20, .40] | 30 |"


def test_runs_are_means_over_the_targets_of_the_proxies_that_each_run_has(csv: Path) -> None:
    csv.write_text(
        "run,proxy,target,spearman\n"
        "one,p,a,0.2\none,p,b,0.4\ntwo,p,a,0.6\ntwo,p,b,0.8\none,q,a,1\none,q,b,1\nother,p,a,0\nother,p,b,0\n"
    )
    assert lines(correlations.per_run({"one": "1", "two": "2"})(csv)) == ["| `p` | .300 | .700 |"]


def test_fewer_samples_are_shown_beside_all(csv: Path) -> None:
    csv.write_text(
        "run,proxy,target,n,spearman,agreement\n"
        "all,p,a,9,0.2,1\nall,p,b,9,0.4,1\n8,p,a,9,0.1,0.9\n8,p,b,8,0.3,0.9\nall,never with fewer,a,9,0.5,1\n"
    )
    made = correlations.against_first({"all": "all", "8": "8"})(csv)
    assert "9 networks" in made
    assert lines(made) == ["| `p` | .300 (1.000) | .200 (.900) |"]


def test_columns_are_shown_as_they_are(csv: Path) -> None:
    csv.write_text("name,other,x,low,high,d,n\na,u,0.5,0.25,0.75,0.125,7\nb,v,-1,-2,0,-0.5,8\n")
    numbers = (
        columns.Numbers("X", "x", ("low", "high"), digits=2),
        columns.Numbers("D", "d", is_difference=True),
        columns.Numbers("N", "n", digits=0),
    )
    made = columns.of_csv({"name": "Name", "other": ""}, numbers, {"a": "the first"})(csv)
    assert plain(made).splitlines() == [
        "| Name |  | X | D | N |",
        "| --- | --- | ---: | ---: | ---: |",
        "| the first | `u` | .50 [.25, .75] | +.125 | 7 |",
        "| `b` | `v` | -1.00 [-2.00, .00] | -.500 | 8 |",
    ]


def test_held_out_halves_give_the_mean_and_the_extremes_of_the_means(csv: Path) -> None:
    csv.write_text(
        "target,seed,n,n_rest,way,rho_rest\n"
        "a,0,5,5,ridge,0.2\na,1,5,5,ridge,0.4\nb,0,5,5,ridge,0.6\nb,1,5,5,ridge,0.6\n"
        "a,0,5,5,weights,0.1\na,1,5,5,weights,0.1\nb,0,5,5,weights,0.1\nb,1,5,5,weights,0.1\n"
    )
    assert lines(combined.held_out({"a": "A", "b": "B"})(csv)) == [
        "| ridge regression on all ranks | .300 | .600 | .450 [.40, .50] |",
        "| `Libra()` | .100 | .100 | .100 [.10, .10] |",
    ]


def test_gains_are_given_per_number_of_labels(csv: Path) -> None:
    csv.write_text("target,seed,n,way,gain_rest\na,0,50,weights,0.1\na,1,50,weights,-0.04\na,0,100,weights,0.2\n")
    made = combined.gains({"a": "A"}, ["weights"])(csv)
    assert made.splitlines()[0] == "|  | mean gain [least of 2] | 50 labels | 100 labels |"
    assert lines(made) == ["| A | `Libra()` | +.030 [-.04] | +.200 [+.20] |"]


def test_the_default_rule_stands_beside_its_best_member(tmp_path: Path) -> None:
    path = tmp_path / "some_networks_default.csv"
    path.write_text(
        "target,seed,n,way,rho_rest,gain_rest,window\n"
        "a,0,50,weights,0.6,0.1,size\na,0,50,best_member,0.5,0,size\n"
        "a,1,50,weights,0.46,-0.04,size\na,1,50,best_member,0.5,0,size\n"
    )
    expected = "| some-networks | `a` | size | `Libra()` | 50 | .530 | .500 | +.030 [-.04] | 1 of 2 |"
    assert lines(combined.default_rule(path)) == [expected]


def test_only_combinations_without_labels_are_listed(csv: Path) -> None:
    csv.write_text(
        "study,way,members,target,spearman,low,high,n\n"
        "subsets,libra,x,a,0.9,0.8,1,9\n"
        "no labels,both,x y,a,0.5,0.4,0.6,9\n"
        "no labels,all proxies,x y z,a,0.7,0.6,0.8,9\n"
    )
    assert lines(correlations.without_labels({"a": "A"})(csv)) == [
        "| all 3 proxies | .700 [.60, .80] | .700 |",
        "| `x`, `y` | .500 [.40, .60] | .500 |",
    ]


def test_the_default_of_the_options_has_no_difference_to_itself() -> None:
    path = Path(__file__).parents[3] / "bench/results/options/nasbench201.csv"
    first, *others = lines(options.table(auto=16)(path))
    assert first.split(" | ")[2] == ""
    assert len(others) == len(options.VARIANTS) - 1
    assert all(line.split(" | ")[2].endswith("]") for line in others)


def test_options_that_a_space_has_no_rows_of_are_left_out(csv: Path) -> None:
    numbers = ",".join(("0.5", "0.4", "0.6", "0.5", "0", "-0.1", "0.1", "9"))
    head = "variant,target,spearman,low,high,default,difference,difference_low,difference_high,n\n"
    csv.write_text(f'{head}"base, layerwise",cifar10_test,{numbers}\nPsi,cifar10_test,{numbers}\n')
    assert [line.split(" | ")[0] for line in lines(options.table(auto=19)(csv))] == [
        "| the default: layerwise, batch 64, auto (19) pattern samples",
        "| Psi alone",
    ]


def test_intervals_of_layers_stand_beside_the_published_ones(csv: Path) -> None:
    rows = [f"{name},c,{value},0.25,0.75,9" for name, value in (*((k, k / 20) for k in range(1, 11)), (BASE, 0.5))]
    csv.write_text("\n".join(["variant,target,spearman,low,high,n", *rows]))
    first, *_, last = lines(options.intervals({"CIFAR-10": "nb201-cifar10"})(csv))
    assert first == "| `layers=(0, 1)` | .050 [.25, .75] (.720) |"
    assert last == "| all layers | .500 [.25, .75] (.710) |"


def test_a_bound_stands_with_the_labels_that_it_has_seen_and_on_others(csv: Path) -> None:
    rows = (
        "scored,params,0.5,0.25,0.125,0.375,9,autoformer_{0},params +-8 %\n"
        "published,other images,,0.75,0.5,1,20,autoformer_{0},params +-8 %\n"
    )
    csv.write_text("networks,way,seen,unseen,low,high,n,space,window\n" + rows.format("small") + rows.format("tiny"))
    made = combined.ceiling(["tiny", "small"])(csv)
    assert (
        plain(made)
        .splitlines()[0]
        .endswith("| Tiny, +-8 %: labels seen | not seen | Small, +-8 %: labels seen | not seen |")
    )
    assert lines(made) == [
        "| scored: 9, 9 | the parameters alone | .500 | .250 [.12, .38] | .500 | .250 [.12, .38] |",
        "| published: 20, 20 | other images |  | .750 [.50, 1.00] |  | .750 [.50, 1.00] |",
    ]


def test_what_needs_no_labels_is_listed_by_its_mean_inside_windows(csv: Path) -> None:
    csv.write_text(
        "space,target,proxies,spearman,inside,inside_low,inside_high,n\n"
        "a,t,p,0.5,0.25,0.125,0.375,9\nb,t,p,0.5,0.25,0.125,0.375,8\n"
        "a,t,p q,0.25,0.5,0.25,0.75,9\nb,t,p q,0.125,0.5,0.25,0.75,8\nother,t,p,1,1,1,1,7\n"
    )
    made = combined.label_free({("a", "t"): "A", ("b", "t"): "B"})(csv)
    assert made.splitlines()[0].endswith("| A, 9 networks | B, 8 networks |")
    assert len(lines(combined.label_free({("a", "t"): "A"}, alone=("q",))(csv))) == 1
    assert lines(made) == [
        "| `p` + `q` | .500 [.25, .75] (.250) | .500 [.25, .75] (.125) |",
        "| `p` | .250 [.12, .38] (.500) | .250 [.12, .38] (.500) |",
    ]


def test_methods_are_listed_by_what_their_winners_reached(csv: Path) -> None:
    csv.write_text(
        "method,seed,n_params,search_s,test_accuracy\n"
        "random,1,1000,0.1,0.40\nrandom,0,2000,0.3,0.44\nlswag,0,3000,20,0.5\nlswag,1,3000,21,0.48\n"
    )
    assert lines(training.comparison(csv)) == [
        "| `lswag` | 49.0% | 50.0% 48.0% | 3,000 | 20 |",
        "| `random` | 42.0% | 44.0% 40.0% | 1,500 | 0 |",
    ]


def test_a_part_of_the_rows_is_compared_with_all_of_them(csv: Path) -> None:
    csv.write_text(
        "exact,sampled,exact_trainability,sampled_trainability,row_fraction,batch,cpu,isa,threads,torch\n"
        "1,1.1,1,3,0.5,4,C,avx2,1,2\n2,2,2,2,0.5,4,C,avx2,1,2\n4,3,3,1,0.5,4,C,avx2,1,2\n"
    )
    made = costs.row_fraction(csv)
    assert lines(made) == ["| the score | 1.0000 | 25.0% |", "| the sum of the trainabilities | -1.0000 | 200.0% |"]
    assert made.endswith("Measured on: C, 1 thread, avx2, torch 2.")


@pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])
def test_a_table_says_where_it_comes_from(table: Table) -> None:
    text = table.text()
    assert text.startswith("| ")
    assert all(f"`bench/results/{source}`" in text.splitlines()[-1] for source in table.sources)


def test_a_profile_shows_the_median_of_all_networks_by_bin(csv: Path) -> None:
    csv.write_text(
        "space,cluster,statistic,bin,median,low,high,n\n"
        "cells,all,ln sigma,0,-1.5,-2,-1,4\ncells,all,ln sigma,10,-2.5,-3,-2,6\ncells,20 layers,ln sigma,0,9,9,9,1\n"
    )
    assert options.layer_profile(csv).splitlines() == [
        "| space | statistic | 0 | 10 |",
        "| --- | --- | ---: | ---: |",
        "| `cells`, 6 networks | ln sigma | -1.500 | -2.500 |",
    ]


def test_a_batch_size_shows_its_correlation_and_its_order(csv: Path) -> None:
    csv.write_text(
        "score,batch,target,n,spearman,low,high,agreement\nlswag,8,a,58,0.5,0.25,0.75,0.9\nlswag,8,b,58,0.6,0.5,0.7,0.9\n"
    )
    made = options.batch_sizes({"a": "A", "b": "B"})(csv)
    assert lines(made) == ["| lswag | 8 | .500 [.25, .75] | .600 [.50, .70] | .900 | 58 |"]


def test_a_network_on_the_digits_has_a_row_for_each_seed(csv: Path) -> None:
    csv.write_text(
        "seed,correct,n_images,test_accuracy,test_low,test_high,processor_s,cpu,threads,isa,torch,date\n"
        "0,175,179,0.9777,0.9439,0.9913,12.3,a CPU,1,avx2,2.5,2026-01-01\n"
    )
    made = training.digits(csv)
    assert lines(made) == ["| 0 | 97.8% [94.4%, 99.1%] | 175 of 179 | 12 s |"]
    assert made.endswith("Measured on: a CPU, 1 thread, avx2, torch 2.5, 2026-01-01.")


def test_inherited_accuracies_a_minute(csv: Path) -> None:
    csv.write_text(
        "n,n_images,workers,seconds,networks_per_min,processor_s,cpu,threads,isa,torch,date\n"
        "1000,2000,2,1200.4,49.98,2300,a CPU,1,avx2,2.5,2026-01-01\n"
    )
    made = training.inherited_speed(csv)
    assert lines(made) == ["| 1000 | 2 | 1,200 s | 50.0 | 2.30 s |"]
    assert "Of 2,000 images each, one thread a worker." in made
