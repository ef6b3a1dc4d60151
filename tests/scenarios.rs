//! Every scenario comes to what it says, and tells its story as it told it last time.

use std::path::Path;

use ft_sim::scenario;

#[test]
fn every_scenario_comes_to_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root.join("snapshots/scenarios"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut failures = Vec::new();
    let mut paths: Vec<_> = std::fs::read_dir(root.join("scenarios"))
        .expect("the scenarios' folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 20, "only {} scenarios were found", paths.len());
    for path in &paths {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).expect("a scenario");
        match scenario::load(&text) {
            Err(error) => failures.push(format!("{name}: {error}")),
            Ok(scenario) => {
                let verdict = scenario.run();
                if !verdict.passed {
                    failures.push(format!("{name}:\n{}", verdict.text));
                } else {
                    settings.bind(|| insta::assert_snapshot!(name.as_str(), verdict.text));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), paths.len(), failures.join("\n\n"));
}
