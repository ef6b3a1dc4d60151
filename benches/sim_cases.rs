//! How many runs a second the project's own protocols make under faults, every promise asked in each: lab A's careful
//! and naive handshakes, and whole one-file ft/1 transfers with their retries. One core.

#![expect(missing_docs, reason = "criterion_group makes a public function")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ft_sim::cases::{self, Plan};
use ft_sim::{Faults, explore};

/// As the program has it: a run makes some hundred small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs per iteration, so that building a world is not what is measured.
const RUNS: u64 = 1_000;

fn own_protocols(c: &mut Criterion) {
    let mut group = c.benchmark_group("cases");
    group.throughput(Throughput::Elements(RUNS)).sample_size(20);
    for name in [
        "lab-a-careful",
        "lab-a-careful-once",
        "lab-a-careful-lf",
        "ft-push",
        "ft-push-once",
        "ft-push-64k-once",
        "ft-push-disk",
    ] {
        let case = cases::find(name).expect("a case of that name");
        group.bench_function(format!("{name}, its faults"), |b| {
            let plan = Plan { deviations: 0, runs: RUNS, ..Plan::default() };
            b.iter(|| case.explore(&plan, |_| {}).assert_passed());
        });
    }
    // A naive case breaks at once; its speed is that of its runs, so that the search goes on over schedules that it bears.
    for name in ["lab-a-naive", "ft-push", "ft-push-once"] {
        let case = cases::find(name).expect("a case of that name");
        group.bench_function(format!("{name}, no faults"), |b| {
            let none = Faults::only(&[]);
            b.iter(|| assert!(explore(name, case.closure()).faults(&none).swarm(0, RUNS).report().failure.is_none()));
        });
    }
    group.finish();
}

criterion_group!(benches, own_protocols);
criterion_main!(benches);
