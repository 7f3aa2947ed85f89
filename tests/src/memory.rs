//! What the running gateway, or its guests, have in memory.
//!
//! In goes a process; out comes its memory as it is now: all that it can write, or the linear memories of its instances. Invariant:
//! nothing of the gateway's own memory is among the latter: a linear memory is told by the image that wasmtime maps into each for
//! its data (`wasm-memory-image`), and reaches as far as the mappings around it can be written. Memories of instances that are gone
//! were given back and read as zeros.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

const PAGE: u64 = 4096;
const CHUNK: u64 = 1 << 20;
const IMAGE: &str = "/memfd:wasm-memory-image";

/// Of each what was ever touched, in pieces.
pub struct Memories(Vec<Vec<Vec<u8>>>);

impl Memories {
    /// Of the guests of the process with this id, which this one started.
    pub fn of(pid: u32) -> Self {
        Self::read(pid, linear_memories)
    }

    /// All that this process can write: heap, stacks and guests.
    pub fn of_all(pid: u32) -> Self {
        Self::read(pid, |maps| runs(maps).into_iter().map(|(from, to, _)| (from, to)).collect())
    }

    fn read(pid: u32, choose: impl FnOnce(&str) -> Vec<(u64, u64)>) -> Self {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process runs");
        let open = |name: &str| File::open(format!("/proc/{pid}/{name}")).expect("its memory may be read");
        let (memory, pages) = (open("mem"), open("pagemap"));
        let pieces = |run| present(&pages, run).into_iter().flat_map(|part| bytes(&memory, part)).collect();
        Self(choose(&maps).into_iter().map(pieces).collect())
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn hold(&self, text: impl AsRef<[u8]>) -> bool {
        self.0.iter().flatten().any(|bytes| memchr::memmem::find(bytes, text.as_ref()).is_some())
    }

    /// What lies around each place where this is, to say whose it may be.
    pub fn around(&self, text: impl AsRef<[u8]>) -> Vec<String> {
        let text = text.as_ref();
        let find = |bytes: &Vec<u8>| -> Vec<String> {
            let places = memchr::memmem::find_iter(bytes, text);
            let near = |at: usize| &bytes[at.saturating_sub(48)..(at + text.len() + 48).min(bytes.len())];
            places.map(|at| near(at).escape_ascii().to_string()).collect()
        };
        self.0.iter().flatten().flat_map(find).collect()
    }
}

/// The parts of a run that were ever touched: heaps are mapped by the gibibyte. A page has 64 bits in `pagemap`, the highest two of
/// which say that it is in RAM, or swapped out.
fn present(pages: &File, (from, to): (u64, u64)) -> Vec<(u64, u64)> {
    let mut entries = vec![0; usize::try_from((to - from) / PAGE * 8).expect("a length")];
    // A mapping that ends meanwhile has no entries, and no memory.
    if pages.read_exact_at(&mut entries, from / PAGE * 8).is_err() {
        return Vec::new();
    }
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for (entry, at) in entries.chunks_exact(8).zip((from..).step_by(PAGE as usize)) {
        if entry[7] & 0b1100_0000 == 0 {
            continue;
        }
        match parts.last_mut() {
            Some(part) if part.1 == at => part.1 = at + PAGE,
            _ => parts.push((at, at + PAGE)),
        }
    }
    parts
}

/// What is there, in pieces that lie side by side; what was unmapped meanwhile is left out, and nothing beside it.
fn bytes(memory: &File, (from, to): (u64, u64)) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    for at in (from..to).step_by(CHUNK as usize) {
        let mut chunk = vec![0; usize::try_from(CHUNK.min(to - at)).expect("a length")];
        match memory.read_exact_at(&mut chunk, at) {
            Ok(()) => pieces.last_mut().expect("a piece").append(&mut chunk),
            Err(_) => pieces.push(Vec::new()),
        }
    }
    pieces
}

fn linear_memories(maps: &str) -> Vec<(u64, u64)> {
    runs(maps).into_iter().filter(|run| run.2).map(|(from, to, _)| (from, to)).collect()
}

/// Runs of writable mappings without a gap, and whether an image is in them.
fn runs(maps: &str) -> Vec<(u64, u64, bool)> {
    let mut runs: Vec<(u64, u64, bool)> = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().expect("a range"), words.next().expect("rights"));
        let (from, to) = range.split_once('-').expect("from and to");
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).expect("an address"));
        if !rights.starts_with("rw") {
            continue;
        }
        let is_image = line.contains(IMAGE);
        match runs.last_mut() {
            Some(run) if run.1 == from => *run = (run.0, to, run.2 || is_image),
            _ => runs.push((from, to, is_image)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_is_the_run_around_its_image() {
        let maps = "\
1000-2000 rw-p 00000000 00:00 0 
3000-4000 ---p 00000000 00:00 0 
4000-5000 rw-p 00000000 00:00 0 
5000-6000 rw-p 00000000 00:01 36438                      /memfd:wasm-memory-image (deleted)
6000-9000 rw-p 00000000 00:00 0 
9000-f000 ---p 00000000 00:00 0 
f000-f100 r--p 00000000 00:01 1                          /memfd:wasm-memory-image (deleted)
";
        assert_eq!(linear_memories(maps), [(0x4000, 0x9000)]);
    }
}
