//! The server as sslyze sees it, which knows the old faults of TLS by name and has an OpenSSL of its own, old enough to
//! speak SSL 2. Early data is not among its answers: it asks for them over HTTP; without a ticket there is none
//! (`tools.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::keys::{server, two};

/// Where `.ci/run` puts it.
fn program() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../sslyze/bin/sslyze")
}

#[test]
fn scanner_of_old_faults_finds_tls_1_3_with_three_ciphers_and_nothing_else() {
    let sandbox = two();
    let server = server(&sandbox);
    let scans = "--sslv2 --sslv3 --tlsv1 --tlsv1_1 --tlsv1_2 --tlsv1_3 --compression --fallback --heartbleed \
                 --openssl_ccs --reneg --resum --robot --elliptic_curves --json_out found.json";
    let output = Command::new("timeout")
        .arg("100")
        .arg(program())
        .args(scans.split_whitespace())
        .arg(server.address())
        .current_dir(sandbox.path(""))
        .stdin(Stdio::null())
        .output()
        .expect("timeout runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let how = "python3 -m venv target/sslyze && target/sslyze/bin/pip install -r tests/trust/requirements.txt";
    let found = fs::read_to_string(sandbox.path("found.json"))
        .unwrap_or_else(|e| panic!("{}: {e}; is it installed? {how}\n{said}", program().display()));
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let scan = |name: &str| {
        let scan = &found["server_scan_results"][0]["scan_result"][name];
        assert_eq!(scan["status"], "COMPLETED", "{name}: {scan}\n{said}");
        &scan["result"]
    };
    for old in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2"] {
        let suites = scan(&format!("{old}_cipher_suites"));
        assert_eq!(
            (&suites["is_tls_version_supported"], &suites["accepted_cipher_suites"]),
            (&false.into(), &Value::Array(Vec::new())),
            "{old}"
        );
    }
    assert_eq!(
        names(&scan("tls_1_3_cipher_suites")["accepted_cipher_suites"], |suite| &suite["cipher_suite"]["name"]),
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    );
    assert_eq!(
        names(&scan("elliptic_curves")["supported_curves"], |curve| &curve["name"]),
        ["X25519", "secp256r1", "secp384r1"]
    );
    assert_eq!(scan("tls_compression")["supports_compression"], false);
    assert_eq!(scan("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"], false);
    assert_eq!(scan("heartbleed")["is_vulnerable_to_heartbleed"], false);
    assert_eq!(scan("robot")["robot_result"], "NOT_VULNERABLE_RSA_NOT_SUPPORTED");
    assert_eq!(scan("tls_fallback_scsv")["supports_fallback_scsv"], true);
    let again = scan("session_renegotiation");
    assert_eq!(again["is_vulnerable_to_client_renegotiation_dos"], false);
    assert_eq!(again["client_renegotiations_success_count"], 0);
    let resumed = scan("session_resumption");
    for way in ["session_id_resumption_result", "tls_ticket_resumption_result"] {
        assert_eq!(resumed[way], "SERVER_IS_TLS_1_3_ONLY");
    }
}

/// The names in a list, sorted.
fn names(list: &Value, name: impl Fn(&Value) -> &Value) -> Vec<String> {
    let list = list.as_array().expect("a list");
    let mut names: Vec<_> = list.iter().map(|entry| name(entry).as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}
