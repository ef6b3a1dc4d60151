//! Diagnostics for whoever looks for the reason: `tracing`, to standard error, silent unless asked for.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Name of the environment variable that holds a filter, such as `ft_cli=debug`.
const VARIABLE: &str = "FT_LOG";

/// Name of the environment variable that asks for JSON, one object a line.
const FORMAT: &str = "FT_LOG_FORMAT";

/// Starts logging. `FT_LOG` wins over the number of `-v`.
pub(crate) fn init(verbose: u8) {
    let level = match verbose {
        0 => "off",
        1 => "ft_cli=info",
        2 => "ft_cli=debug",
        _ => "ft_cli=trace",
    };
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match std::env::var_os(FORMAT).is_some_and(|format| format == "json") {
        true => log.json().flatten_event(true).with_ansi(false).init(),
        false => log.with_ansi(std::io::stderr().is_terminal()).init(),
    }
}
