//! A component for tests, written in WebAssembly text: small enough to see what it does, and free to do what no compiler emits.
//!
//! `sites.get` does what the first letter of the id says; `sites.list` answers ten sites.

use std::fmt::Write as _;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

pub const WORLD: &str = "package test:guest;
world guest {
  include portico:provider/imports@1.0.0;
  export portico:provider/provider@1.0.0;
  export portico:provider/sites@1.0.0;
}";

/// A world over the contract, and the core module for it.
pub fn component(world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).unwrap();
    encode(resolve, world, module)
}

/// A world without the contract.
pub fn alone(world: &str, module: &str) -> Vec<u8> {
    encode(Resolve::default(), world, module)
}

fn encode(mut resolve: Resolve, world: &str, module: &str) -> Vec<u8> {
    let package = resolve.push_source("guest.wit", world).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// What differs between test guests.
pub struct Guest<'a> {
    pub name: &'a str,
    pub schema: &'a str,
    pub features: &'a [&'a str],
    /// Instructions at the start of `describe`.
    pub describe: &'a str,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Self {
            name: "test",
            schema: "{\"type\": \"object\"}",
            features: &["sites.list", "sites.get", "sites.start"],
            describe: "",
        }
    }
}

/// Static memory from address 1024 on.
struct Memory(Vec<u8>);

const BASE: usize = 1024;

impl Memory {
    fn here(&self) -> u32 {
        (BASE + self.0.len()) as u32
    }

    fn text(&mut self, text: &str) -> [u32; 2] {
        let at = self.here();
        self.0.extend_from_slice(text.as_bytes());
        [at, text.len() as u32]
    }

    fn words(&mut self, words: impl IntoIterator<Item = u32>) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = self.here();
        self.0.extend(words.into_iter().flat_map(u32::to_le_bytes));
        at
    }
}

impl Guest<'_> {
    pub fn build(&self) -> Vec<u8> {
        component(WORLD, &self.module())
    }

    pub fn module(&self) -> String {
        let mut memory = Memory(Vec::new());
        let texts = [self.name, "Test", "A test", "1.0.0"].map(|text| memory.text(text));
        let schema = memory.text(self.schema);
        let describe = memory.words([texts.concat(), vec![0; 3], schema.to_vec(), vec![0; 5]].concat());
        let features: Vec<u32> = self.features.iter().flat_map(|feature| memory.text(feature)).collect();
        let features = memory.words(features);
        let configure = memory.words([0, features, self.features.len() as u32, 0, 0, 0, 0, 0, 0]);
        let digits = memory.text("0123456789")[0];
        let native = memory.text("{\"upstream\": \"says\", \"number\": 12345}");
        let sites: Vec<u32> = (0..10).flat_map(|number| site([digits + number, 1], native)).collect();
        let sites = memory.words(sites);
        let list = memory.words([0, sites, 10, 0, 0, 0]);
        let one = memory.words([vec![0, 0], site([digits + 1, 1], native)].concat());
        let message = memory.text("no such site");
        // result err, kind not-found, message
        let error = memory.words([1, 0, 1, message[0], message[1], 0, 0, 0, 0, 0, 0]);
        // Twenty environments whose name is the same MiB: 20 MiB to lift.
        let environments: Vec<u32> = (0..20).flat_map(|_| [vec![digits, 1, 65536, 1 << 20, 0], vec![0; 15]].concat()).collect();
        let environments = memory.words(environments);
        let mut aliased = site([digits, 1], native);
        aliased[17] = environments;
        aliased[18] = 20;
        let aliased = memory.words([vec![0, 0], aliased].concat());
        let done = memory.words(vec![0; 40]);
        let pending = memory.words([vec![0, 0, 1, 0, digits, 3], vec![0; 40]].concat());
        let boom = memory.text("boom: the password is hunter22");
        let key = memory.text("key")[0];
        let scratch = memory.words(vec![0; 64]);
        assert!(memory.here() < 65536);
        TEMPLATE
            .replace("$DATA", &escaped(&memory.0))
            .replace("$IN_DESCRIBE", self.describe)
            .replace("$BOOM_LEN", &boom[1].to_string())
            .replace("$BOOM", &boom[0].to_string())
            .replace("$DESCRIBE", &describe.to_string())
            .replace("$CONFIGURE", &configure.to_string())
            .replace("$LIST", &list.to_string())
            .replace("$ONE", &one.to_string())
            .replace("$DIGITS", &digits.to_string())
            .replace("$ERROR", &error.to_string())
            .replace("$ALIASED", &aliased.to_string())
            .replace("$DONE", &done.to_string())
            .replace("$PENDING", &pending.to_string())
            .replace("$KEY", &key.to_string())
            .replace("$SCRATCH", &scratch.to_string())
    }
}

/// A record `site` with this id and name.
fn site(id: [u32; 2], native: [u32; 2]) -> Vec<u32> {
    let mut words = vec![0; 46];
    words[..4].copy_from_slice(&[id[0], id[1], id[0], id[1]]);
    words[42..45].copy_from_slice(&[1, native[0], native[1]]);
    words
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "\\{byte:02x}").unwrap();
        out
    })
}

const TEMPLATE: &str = r#"(module
  (import "portico:provider/log@1.0.0" "write" (func $log (param i32 i32 i32)))
  (import "portico:provider/clock@1.0.0" "now" (func $now (result i64)))
  (import "portico:provider/random@1.0.0" "bytes" (func $random (param i32 i32)))
  (import "portico:provider/state@1.0.0" "get" (func $get (param i32 i32 i32)))
  (import "portico:provider/state@1.0.0" "set" (func $set (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 24)
  (data (i32.const 1024) "$DATA")
  (global $heap (mut i32) (i32.const 1114112))
  (global $calls (mut i32) (i32.const 0))
  (func $alloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get 3)) (i32.const 7)) (i32.const -8)))
    (local.get $at))
  (func $reset (export "cabi_post_portico:provider/sites@1.0.0#get") (export "cabi_post_portico:provider/sites@1.0.0#list")
    (export "cabi_post_portico:provider/provider@1.0.0#configure")
    (param i32) (global.set $heap (i32.const 1114112)))
  (func (export "portico:provider/provider@1.0.0#describe") (result i32) $IN_DESCRIBE (i32.const $DESCRIBE))
  (func (export "portico:provider/provider@1.0.0#configure") (param i32 i32) (result i32) (i32.const $CONFIGURE))
  (func (export "portico:provider/sites@1.0.0#list") (param i32 i32 i32 i32) (result i32) (i32.const $LIST))
  (func $recurse (param i32) (result i32) (i32.add (call $recurse (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func $flood (local $n i32)
    (loop $again
      (call $log (i32.const 1) (i32.const $DIGITS) (i32.const 10))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000)))))
  (func $grow (loop $again (br_if $again (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable)
  (func $count (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.add (i32.const $ONE) (i32.const 16)) (i32.add (i32.const $DIGITS) (global.get $calls)))
    (i32.const $ONE))
  (func (export "portico:provider/sites@1.0.0#get") (param i32 i32) (result i32)
    (local $do i32)
    (local.set $do (i32.load8_u (local.get 0)))
    (if (i32.eq (local.get $do) (i32.const 115)) (then (loop $spin (br $spin))))                      ;; s: spin
    (if (i32.eq (local.get $do) (i32.const 109)) (then (call $grow)))                                ;; m: memory
    (if (i32.eq (local.get $do) (i32.const 117)) (then
      (call $log (i32.const 3) (i32.const $BOOM) (i32.const $BOOM_LEN)) unreachable))                  ;; u: panic
    (if (i32.eq (local.get $do) (i32.const 114)) (then (return (call $recurse (i32.const 0)))))        ;; r: recurse
    (if (i32.eq (local.get $do) (i32.const 108)) (then (return (i32.const -16))))                      ;; l: lift fails
    (if (i32.eq (local.get $do) (i32.const 104)) (then (return (i32.const $ALIASED))))                 ;; h: huge answer
    (if (i32.eq (local.get $do) (i32.const 101)) (then (return (i32.const $ERROR))))                   ;; e: error
    (if (i32.eq (local.get $do) (i32.const 102)) (then (call $flood)))                               ;; f: flood
    (if (i32.eq (local.get $do) (i32.const 120)) (then
      (call $random (i32.const 4097) (i32.const $SCRATCH))))                                          ;; x: too much
    (if (i32.eq (local.get $do) (i32.const 107)) (then
      (call $set (i32.const $KEY) (i32.const 3) (i32.const $DIGITS) (i32.const 10) (i32.const $SCRATCH))
      (if (i32.load8_u (i32.const $SCRATCH)) (then unreachable))))                                   ;; k: keep
    (if (i32.eq (local.get $do) (i32.const 103)) (then
      (call $get (i32.const $KEY) (i32.const 3) (i32.const $SCRATCH))
      (if (i32.eqz (i32.load8_u (i32.add (i32.const $SCRATCH) (i32.const 4)))) (then (return (i32.const $ERROR)))))) ;; g: get
    (call $count))
  (func (export "portico:provider/sites@1.0.0#create") (param i32) (result i32) unreachable)
  (func (export "portico:provider/sites@1.0.0#update")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
  (func (export "portico:provider/sites@1.0.0#delete") (param i32 i32 i32 i32 i32 i32) (result i32) unreachable)
  (func (export "portico:provider/sites@1.0.0#start") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const $DONE))
  (func (export "portico:provider/sites@1.0.0#stop") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const $PENDING))
  (func (export "portico:provider/sites@1.0.0#clone") (param i32) (result i32) unreachable)
  (func (export "portico:provider/sites@1.0.0#usage") (param i32 i32) (result i32) unreachable)
  (func (export "portico:provider/sites@1.0.0#logs") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
)"#;
