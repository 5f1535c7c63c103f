#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| resolver::testing::validator(data));
