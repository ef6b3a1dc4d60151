//! What ft/1 says to peers that are not ours, reviewed word for word.

mod telling;

use std::path::Path;

#[test]
fn every_stranger_is_told_what_it_was_told_last_time() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots/strangers"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for case in telling::cases() {
        let text = telling::table(case);
        settings.bind(|| insta::assert_snapshot!(case.name, text));
        assert!(!text.contains("BREAKS"), "{}:\n{text}", case.name);
    }
}
