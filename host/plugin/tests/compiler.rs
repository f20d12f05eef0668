//! The compiler as a process of its own: this program plays both sides, and fails by panicking.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::ExitCode;

use support::{Folder, Sample};
use tollgate_plugin::{Limits, compile_child_main};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, wasm, out] = arguments.as_slice()
        && verb == "compile-plugin"
    {
        // What it was started with must not hold the parent's environment: keys may be in there.
        assert!(std::env::var_os("HOME").is_none());
        return match compile_child_main(Path::new(wasm), Path::new(out)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    a_component_is_compiled_apart();
    ExitCode::SUCCESS
}

fn a_component_is_compiled_apart() {
    let folder = Folder::new();
    folder.put("sample.wasm", &Sample::default().component());
    folder.put("odd.wasm", b"\0asm\x0d\0\x01\0\xff");
    let compiler = std::env::current_exe().unwrap();
    let registry = folder.open_with(Limits::default(), Some(compiler));
    assert!(registry.get("sample").is_some(), "{:?}", registry.refused());
    let refused = registry.refused();
    assert_eq!(refused.len(), 1);
    // The reason is the compiler's own, told through its error output.
    let reason = &refused[0].reason;
    assert!(reason.contains("does not compile"), "{reason}");
    assert!(!reason.contains("without a word"), "{reason}");
}
