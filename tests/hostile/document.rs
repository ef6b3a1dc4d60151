//! The tables as people read them: docs/HOSTILE-PEERS.md has a line for every row, and no other.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::{got_rows, rows_content, rows_fatal, rows_joined, rows_limits, rows_names, rows_tolerated};

/// Set to anything, it lets this test write the tables anew instead of comparing them.
const WRITE: &str = "FT_WRITE_TABLES";

/// Behind this line the document is made of the rows.
const MARK: &str =
    "<!-- The rest of this page is made of the rows of tests/hostile, and compared with them by a test. -->\n";

/// Group, name, what the peer does, what comes of it.
fn all() -> Vec<[String; 4]> {
    let served = [
        rows_names::NAMES,
        rows_fatal::BYTES,
        rows_fatal::ORDER,
        rows_tolerated::TOLERATED,
        rows_content::TRUNCATION,
        rows_content::INTEGRITY,
        rows_joined::JOINED,
        rows_limits::LIMITS,
    ];
    let served = served.into_iter().flatten().map(|r| (r.group, r.name, r.what, r.outcome.shown()));
    let got = [got_rows::SERVER_JOINED, got_rows::SERVER_NAMES, got_rows::SERVER_CONTENT, got_rows::SERVER_WORDS];
    let got = got.into_iter().flatten().map(|r| (r.group, r.name, r.what, r.outcome.shown()));
    served.chain(got).map(|(group, name, what, end)| [group.into(), name.into(), what.into(), end]).collect()
}

fn tables() -> String {
    let mut text = String::new();
    let mut last = String::new();
    for [group, name, what, end] in all() {
        if group != last {
            let _ = write!(text, "\n## {group}\n\n| test | the peer | outcome |\n|---|---|---|\n");
            last = group;
        }
        let _ = writeln!(text, "| `{name}` | {what} | {end} |");
    }
    text
}

#[test]
fn document_has_the_rows_of_the_tables_and_no_others() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/HOSTILE-PEERS.md");
    let text = fs::read_to_string(&path).expect("the document");
    let (head, shown) = text.split_once(MARK).expect("the mark");
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, [head, MARK, &tables()].concat()).expect("the document");
        return;
    }
    for (shown, row) in shown.lines().zip(tables().lines()) {
        assert_eq!(shown, row, "run this test with {WRITE}=1 to write the tables anew");
    }
    assert_eq!(shown.len(), tables().len());
}

#[test]
fn tables_have_the_rows_that_were_promised() {
    let names: std::collections::BTreeSet<String> = all().into_iter().map(|[_, name, ..]| name).collect();
    assert_eq!(names.len(), all().len(), "each name is one row's");
    assert!(all().len() >= 66, "{}", all().len());
}
