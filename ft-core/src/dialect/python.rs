//! The two pieces of Python that the naive implementations die of.

use super::error::LabError;

/// `bytes.decode("utf-8")`: dies of half a character (`utf8-split`).
pub(super) fn decode(bytes: &[u8]) -> Result<&str, LabError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let reason = match error.error_len() {
            None => "unexpected end of data",
            Some(_) => "invalid byte",
        };
        let message = format!("'utf-8' codec can't decode byte 0x{:02x} in position {at}: {reason}", bytes[at]);
        LabError::crash("UnicodeDecodeError", message)
    })
}

/// `int(text)`: spaces around, a sign, single underscores between digits. Saturates, where Python has no bound.
pub(super) fn int(text: &str) -> Result<i128, LabError> {
    let trimmed = text.trim();
    let (negative, digits) = match trimmed.as_bytes().first() {
        Some(b'-') => (true, &trimmed[1..]),
        Some(b'+') => (false, &trimmed[1..]),
        Some(_) | None => (false, trimmed),
    };
    let mut value: i128 = 0;
    let mut after_digit = false;
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => {
                value = value.saturating_mul(10).saturating_add(i128::from(byte - b'0'));
                after_digit = true;
            }
            b'_' if after_digit => after_digit = false,
            _ => return Err(invalid(text)),
        }
    }
    if !after_digit {
        return Err(invalid(text));
    }
    Ok(if negative { -value } else { value })
}

fn invalid(text: &str) -> LabError {
    LabError::crash("ValueError", format!("invalid literal for int() with base 10: '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int_reads_what_python_reads() {
        for (text, value) in [("10", 10), (" 10\n", 10), ("-5", -5), ("+7", 7), ("1_000", 1000), ("007", 7)] {
            assert_eq!(int(text).expect(text), value);
        }
        assert_eq!(int(&"9".repeat(60)).expect("saturates"), i128::MAX);
        for text in ["", "-", "1__0", "_1", "1_", "ten", "10x", "1 0"] {
            let error = int(text).expect_err(text);
            assert_eq!(
                error.to_string(),
                format!("crashed: ValueError: invalid literal for int() with base 10: '{text}'")
            );
        }
    }
}
