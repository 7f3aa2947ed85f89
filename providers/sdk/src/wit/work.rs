//! One copy of the code that hands [`Work`] to the host, for all exports that return it.
//!
//! wit-bindgen writes the lowering of a result into each export anew, and more than thirty of a provider's exports return
//! `result<work, error>`: in a component that has them all, a tenth of its size. Here, an export's generated code is run with an
//! implementation that puts the result aside ([`put_aside`]) and returns an empty error, which costs next to nothing to lower; then
//! the generated code of one more export, which no component has, lowers what was put aside. The modules below stand in for
//! the generated ones in wit-bindgen's export macros. Invariant: what is put aside is taken by the same call.

use crate::{Error, ErrorKind, Work, error::internal};
use std::cell::RefCell;

thread_local! {
    static ASIDE: RefCell<Option<Result<Work, Error>>> = const { RefCell::new(None) };
}

/// What the generated code is to see instead of `result`.
#[inline(always)]
pub fn put_aside(result: Result<Work, Error>) -> Result<Work, Error> {
    ASIDE.set(Some(result));
    Err(Error { kind: ErrorKind::Internal, message: String::new(), field: None, upstream_status: None, retry_after: None })
}

mod generated {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package portico:sdk-work; \
                 interface lowering { use portico:provider/types@1.0.0.{error, work}; lower: func() -> result<work, error>; } \
                 world w-work { export lowering; }",
        world: "portico:sdk-work/w-work",
        with: { "portico:provider/types@1.0.0": crate::wit::imports::portico::provider::types },
        additional_derives: [PartialEq],
        // As in the other worlds: without it, every component would have to export this one.
        pub_export_macro: true,
        export_macro_name: "export_work",
    });
}

use generated::exports::portico::sdk_work::lowering;

struct Aside;

impl lowering::Guest for Aside {
    fn lower() -> Result<Work, Error> {
        ASIDE.take().unwrap_or_else(|| Err(internal("the call left no result")))
    }
}

/// Where the result lies, as the host expects it.
#[inline(never)]
fn lower() -> *mut u8 {
    // SAFETY: it has no arguments, and like any export's, its answer is read before the next call begins.
    unsafe { lowering::_export_lower_cabi::<Aside>() }
}

type Pointer = *mut u8;

macro_rules! stand_in {
    ($($module:ident { $($export:ident($($argument:ident: $type:ty),*);)+ })+) => {$(
        pub mod $module { pub mod exports { pub mod portico { pub mod provider { pub mod $module {
            use crate::wit::{$module::exports::portico::provider::$module as generated, work::{Pointer, lower}};
            pub use generated::*;
            $(pub unsafe fn $export<T: Guest>($($argument: $type),*) -> Pointer {
                // SAFETY: the same arguments, from the same export.
                unsafe { generated::$export::<T>($($argument),*) };
                lower()
            })+
        }}}}}
    )+};
}

stand_in! {
    sites {
        _export_create_cabi(a: Pointer);
        _export_update_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: i32, k: Pointer, l: usize, m: i32, n: Pointer, o: usize);
        _export_delete_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize);
        _export_start_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize);
        _export_stop_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize);
        _export_clone_cabi(a: Pointer);
    }
    environments {
        _export_create_cabi(a: Pointer);
        _export_update_cabi(a: Pointer);
        _export_delete_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: Pointer, h: usize);
        _export_push_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: Pointer, h: usize, i: Pointer, j: usize, k: i32, l: i32, m: i32);
    }
    backups {
        _export_create_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: i32, k: i32, l: Pointer, m: usize);
        _export_delete_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: Pointer, h: usize);
        _export_restore_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: Pointer, h: usize, i: i32, j: Pointer, k: usize, l: i32, m: i32, n: i32, o: i32);
    }
    domains {
        _export_create_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: Pointer, h: usize, i: i32, j: Pointer, k: usize, l: i32);
        _export_delete_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: Pointer, k: usize);
        _export_verify_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: Pointer, k: usize);
        _export_set_primary_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: Pointer, k: usize);
    }
    deployments {
        _export_create_cabi(a: Pointer);
        _export_rollback_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: i32, k: Pointer, l: usize);
        _export_release_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: Pointer, h: usize, i: Pointer, j: usize);
        _export_commit_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: Pointer, h: usize, i: i32, j: Pointer, k: usize);
    }
    wordpress {
        _export_install_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: i32, k: Pointer, l: usize, m: i32, n: Pointer, o: usize, p: i32);
        _export_change_extension_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: i32, k: Pointer, l: usize, m: i32);
        _export_update_core_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: i32, k: Pointer, l: usize);
        _export_reinstall_core_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize);
        _export_set_maintenance_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: i32);
        _export_search_replace_cabi(a: Pointer);
        _export_change_cache_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: i32, k: Pointer, l: usize);
        _export_change_security_cabi(a: Pointer);
        _export_verify_checksums_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize);
        _export_create_admin_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: Pointer, k: usize, l: Pointer, m: usize, n: i32, o: Pointer, p: usize);
        _export_reset_password_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: Pointer, k: usize, l: i32, m: Pointer, n: usize);
        _export_login_link_cabi(a: Pointer, b: usize, c: Pointer, d: usize, e: Pointer, f: usize, g: i32, h: Pointer, i: usize, j: Pointer, k: usize);
    }
}

#[cfg(test)]
mod tests {
    /// An export that is forgotten here answers an empty error after its work was done.
    #[test]
    fn every_export_that_returns_work_is_here() {
        let contract = [
            include_str!("../../../../wit/resources.wit"),
            include_str!("../../../../wit/wordpress.wit"),
            include_str!("../../../../wit/provider.wit"),
        ];
        let returned: usize = contract.iter().map(|text| text.matches("-> result<work, error>;").count()).sum();
        let here = include_str!("work.rs").lines().filter(|line| line.trim_start().starts_with("_export_")).count();
        assert!(returned > 30 && here == returned, "{here} of {returned}");
    }
}
