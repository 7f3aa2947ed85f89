//! What a computation leaves on its stack.
//!
//! In goes work on a secret, out comes its outcome. Invariant: the stack that the work used holds zeros afterwards. Hash functions
//! copy what they hash into blocks there, and nobody may come that far again for hours. The heap is the allocator's: see `main`.

/// More than ring's SHA-256 takes: a block, the state, a copy of each, and the schedule of messages. About 1600 bytes were seen.
pub const DIGEST: usize = 2048;
/// More than its HMAC takes, which copies a digest's whole state once more.
pub const HMAC: usize = 4096;
/// More than Argon2 takes, whose blocks have a kilobyte.
pub const PASSWORD_HASH: usize = 16 * 1024;

/// The outcome of this work, of whose stack so many bytes are wiped.
pub fn after<const DEPTH: usize, T>(work: impl FnOnce() -> T) -> T {
    let outcome = apart(work);
    zeroize::zeroize_stack::<DEPTH>();
    outcome
}

/// In a frame of its own, below the one that wipes.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{Argon2, PasswordHasher as _};
    use ring::{digest, hmac};
    use std::{fs::File, hint::black_box, os::unix::fs::FileExt as _};

    /// The end of a secret, which a hash has in hand last; before it are whole blocks.
    const END: &[u8] = b"this is the end, and lies around";
    /// Below a frame, so much is looked at.
    const BELOW: usize = 64 * 1024;

    /// Whether the end of the secret lies below this frame after the work. In a thread of its own, whose stack nobody used before.
    fn is_left(work: impl FnOnce() + Send) -> bool {
        std::thread::scope(|scope| {
            let looked = scope.spawn(|| {
                let mut below = vec![0; BELOW];
                let memory = File::open("/proc/self/mem").unwrap();
                let here = 0_u8;
                let address = (&raw const here).addr() - BELOW;
                work();
                memory.read_exact_at(&mut below, address as u64).unwrap();
                black_box(here);
                memchr::memmem::find(&below, END).is_some()
            });
            looked.join().unwrap()
        })
    }

    #[test]
    fn what_a_hash_leaves_is_wiped() {
        let secret = [&[b'-'; 256], END].concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let digest = || _ = black_box(digest::digest(&digest::SHA256, &secret));
        let sign = || _ = black_box(hmac::sign(&key, &secret));
        let password = || drop(black_box(Argon2::default().hash_password_with_salt(&secret, b"0123456789abcdef")));
        // Argon2 writes over its own beginning; nobody promises that it always will.
        assert_eq!([is_left(digest), is_left(sign)], [true; 2], "nothing is left where nothing is wiped: is it looked for?");
        assert!(is_left(|| after::<256, _>(sign)), "less than it takes");
        assert!(!is_left(|| after::<DIGEST, _>(digest)), "SHA-256");
        assert!(!is_left(|| after::<HMAC, _>(sign)), "HMAC");
        assert!(!is_left(|| after::<PASSWORD_HASH, _>(password)), "Argon2");
    }
}
