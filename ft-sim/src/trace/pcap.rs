use super::Event;
pub fn pcapng(_: &[Event]) -> Vec<u8> {
    Vec::new()
}
