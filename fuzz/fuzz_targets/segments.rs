#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ft_fuzz::segments(data));
