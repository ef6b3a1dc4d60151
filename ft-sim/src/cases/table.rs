//! The cases, by name.

use super::ft::{FtSetup, Way, content};
use super::{Case, Setup};
use crate::faults::Faults;

const WORLDS: &[&str] = &["own", "tokio"];
const FT: [&str; 2] = ["ft/1 client", "ft/1 server"];

/// Sizes of ft/1 around which boundaries tell most: preamble and header.
fn all_faults() -> Faults {
    Faults::all().headers(&[16, 28])
}

fn three() -> FtSetup {
    let mut setup = FtSetup::one(Way::Push);
    setup.files =
        vec![("a".to_owned(), content(1, 100)), ("b".to_owned(), Vec::new()), ("f".to_owned(), content(3, 200))];
    setup
}

fn kept() -> FtSetup {
    const UNIT: usize = 1024 * 1024;
    let mut setup = FtSetup::one(Way::Push);
    setup.files = vec![("f".to_owned(), content(1, UNIT + 100))];
    setup.kept = UNIT + 50;
    setup
}

fn long() -> FtSetup {
    let mut setup = FtSetup::one(Way::Push);
    setup.files = vec![("f".to_owned(), content(1, 64 * 1024))];
    setup
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "ft-push",
        question: "Does a push of one file keep every promise, whatever the network does?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(FtSetup::one(Way::Push)),
        faults: all_faults,
    },
    Case {
        name: "ft-pull",
        question: "Does a pull of one file keep every promise, whatever the network does?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(FtSetup::one(Way::Pull)),
        faults: all_faults,
    },
    Case {
        name: "ft-push-three",
        question: "Do three files, one of them empty, share one session without harm to each other?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(three()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-resume",
        question: "Does a push go on from a kept beginning of 1 MiB, and keep every promise on the way?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(kept()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-64k",
        question: "Does a push of 64 KiB survive a fault at every single byte?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(long()),
        faults: all_faults,
    },
];
