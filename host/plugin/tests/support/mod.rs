//! Components made from WebAssembly text: a manifest laid out in memory by hand, and bodies for what a test needs.

#![allow(dead_code)] // Each test program uses its part of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tollgate_plugin::contract::{Context, Money, Operation, Payment};
use tollgate_plugin::{Limits, Plugin, Registry, RegistryConfig};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// Where the image of manifest, fault and reply begins in the component's memory.
const BASE: u32 = 4096;

/// What a sample component does.
pub struct Sample {
    pub id: &'static str,
    pub version: &'static str,
    /// Text of the body of `describe`; empty returns the manifest.
    pub describe: &'static str,
    /// The same of `build`; empty returns a fault of code `unsupported`.
    pub build: &'static str,
    /// More of the module: a start function, say.
    pub more: &'static str,
    /// Whether it imports standard error, as `$stderr`, `$write` and `$close`.
    pub wasi: bool,
}

impl Default for Sample {
    fn default() -> Self {
        Self { id: "sample", version: "1.0.0", describe: "", build: "", more: "", wasi: false }
    }
}

/// The part of WASI that a sample imports, by its names in 0.2.6.
const WASI: [&str; 3] = [
    "package wasi:io@0.2.6;
     interface error { resource error; }
     interface streams {
         use error.{error};
         variant stream-error { last-operation-failed(error), closed }
         resource output-stream {
             blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
         }
     }",
    "package wasi:cli@0.2.6;
     interface stderr {
         use wasi:io/streams@0.2.6.{output-stream};
         get-stderr: func() -> output-stream;
     }",
    "package tollgate:sample;
     world with-wasi {
         include tollgate:provider/provider-plugin@1.0.0;
         import wasi:cli/stderr@0.2.6;
     }",
];

const WASI_IMPORTS: &str = r#"
    (import "wasi:cli/stderr@0.2.6" "get-stderr" (func $stderr (result i32)))
    (import "wasi:io/streams@0.2.6" "[method]output-stream.blocking-write-and-flush"
      (func $write (param i32 i32 i32 i32)))
    (import "wasi:io/streams@0.2.6" "[resource-drop]output-stream" (func $close (param i32)))"#;

/// Memory that is laid out as the canonical ABI reads it.
struct Image(Vec<u8>);

impl Image {
    fn place(&mut self, bytes: &[u8]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = BASE + u32::try_from(self.0.len()).unwrap();
        self.0.extend_from_slice(bytes);
        at
    }

    /// Address and length of a text.
    fn text(&mut self, text: &str) -> [u32; 2] {
        [self.place(text.as_bytes()), u32::try_from(text.len()).unwrap()]
    }

    fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.place(&bytes)
    }

    /// The manifest: one method, and the operation `pay` that calls nothing.
    fn manifest(&mut self, id: &str, version: &str) -> u32 {
        const NONE: [u32; 2] = [0, 0];
        let [id, version, name] = [id, version, "Sample"].map(|text| self.text(text));
        let page = self.text("page");
        let method = [page, name, NONE, NONE, NONE, NONE].concat();
        let methods = [self.words(&method), 1];
        let pay = self.text("pay");
        // name, calls, by-our-ref, repeat-ms, absent-after-ms, schedule-ms, accepts: 72 bytes.
        let mut ability = vec![pay[0], pay[1], 0, 0, 1];
        ability.resize(18, 0);
        let operations = [self.words(&ability), 1];
        let manifest =
            [id, version, name, NONE, NONE, NONE, NONE, methods, operations, NONE, NONE, NONE];
        self.words(&manifest.concat())
    }

    /// `err(fault)`, its code `unsupported`.
    fn fault(&mut self) -> u32 {
        let code = self.text("unsupported");
        let mut words = vec![1, 0, code[0], code[1]];
        words.resize(24, 0);
        self.words(&words)
    }
}

impl Sample {
    /// A registry's only plugin, and its folder.
    pub fn alone(&self, limits: Limits) -> (Folder, Arc<Plugin>) {
        let folder = Folder::new();
        folder.put("sample.wasm", &self.component());
        let registry = folder.open(limits);
        assert_eq!(registry.refused(), []);
        let plugin = registry.get("sample").unwrap();
        (folder, plugin)
    }

    /// The component's bytes.
    pub fn component(&self) -> Vec<u8> {
        let mut image = Image(Vec::new());
        let manifest = image.manifest(self.id, self.version);
        let fault = image.fault();
        let reply = image.words(&[200, 0, 0, 0, 0]);
        let data: String = image.0.iter().map(|b| format!("\\{b:02x}")).collect();
        let body = |own: &str, answer: String| match own {
            "" => answer,
            own => own.to_owned(),
        };
        // Behind the 64 bytes of the context stands the borrowed keyring, which has to be given back.
        let give_back = "(call $give-back (i32.load offset=64 (local.get 0)))";
        let package = "tollgate:provider";
        let text = format!(
            r#"(module $sample
              (import "{package}/logging@1.0.0" "log" (func $log (param i32 i32 i32)))
              (import "{package}/signing@1.0.0" "[resource-drop]keyring"
                (func $give-back (param i32)))
              {wasi}
              (memory (export "memory") 1)
              (data (i32.const {BASE}) "{data}")
              (global $top (mut i32) (i32.const 32768))
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
                (global.set $top (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
              (func $hot (export "{package}/provider@1.0.0#describe") (result i32) {describe})
              (func $build (export "{package}/requests@1.0.0#build") (param i32) (result i32) {build})
              (func (export "{package}/requests@1.0.0#interpret") (param i32) (result i32) unreachable)
              (func (export "{package}/notices@1.0.0#read") (param i32) (result i32) unreachable)
              (func (export "{package}/notices@1.0.0#acknowledge") (param i32) (result i32)
                {give_back} i32.const {reply})
              (func (export "{package}/bills@1.0.0#parse") (param i32) (result i32) unreachable)
              {more})"#,
            describe = body(self.describe, format!("i32.const {manifest}")),
            build = body(self.build, format!("{give_back} i32.const {fault}")),
            more = self.more,
            wasi = if self.wasi { WASI_IMPORTS } else { "" },
        );
        let mut module = wat::parse_str(&text).unwrap();
        let mut resolve = wit_parser::Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let (mut package, _) = resolve.push_path(wit).unwrap();
        if self.wasi {
            for text in WASI {
                package = resolve.push_str("sample.wit", text).unwrap();
            }
        }
        let name = if self.wasi { "with-wasi" } else { "provider-plugin" };
        let world = resolve.select_world(&[package], Some(name)).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        let mut encoder = ComponentEncoder::default();
        encoder.module(&module).unwrap().encode().unwrap()
    }
}

/// A folder of components that goes away with the test.
pub struct Folder {
    room: tempfile::TempDir,
}

impl Folder {
    pub fn new() -> Self {
        let room = tempfile::tempdir().unwrap();
        std::fs::create_dir(room.path().join("plugins")).unwrap();
        Self { room }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.room.path().join("plugins").join(file)
    }

    pub fn put(&self, file: &str, bytes: &[u8]) {
        std::fs::write(self.path(file), bytes).unwrap();
    }

    pub fn open(&self, limits: Limits) -> Registry {
        self.open_with(limits, None)
    }

    pub fn open_with(&self, limits: Limits, compiler: Option<PathBuf>) -> Registry {
        Registry::open(RegistryConfig {
            folder: self.path(""),
            cache: self.room.path().join("cache"),
            limits,
            compiler,
            concurrency: 4,
        })
        .unwrap()
    }
}

/// What a call is told of the world.
pub fn context() -> Context {
    Context {
        now_ms: 1_700_000_000_000,
        nonce: "n".repeat(32),
        idempotency_key: "i".into(),
        trace_id: "t".into(),
        live: false,
        settings: vec![("a".into(), "b".into())],
        origins: Vec::new(),
        extra: Vec::new(),
    }
}

/// What it is asked for.
pub fn operation() -> Operation {
    Operation::QueryPayment(Payment {
        payment_ref: "P".repeat(24),
        provider_ref: None,
        method: "page".into(),
        amount: Money { minor: 100, currency: "EUR".into(), exponent: 2 },
        created_ms: 0,
        kept: Vec::new(),
    })
}
