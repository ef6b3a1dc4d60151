//! Parties of a case may panic by the thousand: that is a finding, which the report tells once. Standard error is spared.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

/// Runs the simulator without the messages of panics, which it catches itself.
///
/// # Errors
///
/// The simulator panicked, outside every case: it is broken, and this is its message.
pub(in crate::commands) fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(hook);
    result.map_err(|payload| format!("the simulator broke: {}", message(payload.as_ref())))
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_of_the_simulator_is_an_error_with_its_words() {
        assert_eq!(quietly(|| 7), Ok(7));
        let number = 7;
        let broken = quietly(|| panic!("no step {number}"));
        assert_eq!(broken, Err::<(), _>("the simulator broke: no step 7".to_owned()));
    }
}
