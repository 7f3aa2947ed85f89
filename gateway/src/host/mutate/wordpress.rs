//! Changing calls of the WordPress toolkit: one function of the contract each.
//!
//! In goes a mutation; out comes the guest's answer with the instance. Invariant: nothing is decided here.

use super::{Call, Running, ask};
use crate::{
    host::convert,
    model::{Error, WordpressChange, WordpressMutation},
};
use portico_bindings::portico::provider::types;

pub(super) async fn wordpress(
    running: Running,
    call: &Call,
    mutation: &WordpressMutation,
) -> Result<(Running, types::Work), Error> {
    let target = convert::wordpress_target(&mutation.target);
    Ok(match &mutation.change {
        WordpressChange::Install { kind, input } => {
            let kind = convert::extension_kind(*kind);
            ask!(running, wordpress.call_install(call, &target, kind, &convert::install(input)))
        }
        WordpressChange::Extension { kind, action, id } => {
            let (kind, action) = (convert::extension_kind(*kind), convert::extension_action(*action));
            ask!(running, wordpress.call_change_extension(call, &target, kind, id, action))
        }
        WordpressChange::UpdateCore(input) => {
            ask!(running, wordpress.call_update_core(call, &target, input.version.as_deref()))
        }
        WordpressChange::ReinstallCore => ask!(running, wordpress.call_reinstall_core(call, &target)),
        WordpressChange::Maintenance(input) => ask!(running, wordpress.call_set_maintenance(call, &target, input.enabled)),
        WordpressChange::SearchReplace(input) => {
            ask!(running, wordpress.call_search_replace(call, &target, &convert::search_replace(input)))
        }
        WordpressChange::Cache(action) => {
            ask!(running, wordpress.call_change_cache(call, &target, &convert::cache_action(action)))
        }
        WordpressChange::Security(change) => {
            ask!(running, wordpress.call_change_security(call, &target, convert::security_change(change)))
        }
        WordpressChange::VerifyChecksums => ask!(running, wordpress.call_verify_checksums(call, &target)),
        WordpressChange::CreateAdmin(admin) => {
            ask!(running, wordpress.call_create_admin(call, &target, &convert::admin_create(admin)))
        }
        WordpressChange::ResetPassword(input) => {
            ask!(
                running,
                wordpress.call_reset_password(
                    call,
                    &target,
                    &input.user,
                    input.password.as_ref().map(|password| password.as_str())
                )
            )
        }
        WordpressChange::LoginLink(input) => ask!(running, wordpress.call_login_link(call, &target, &input.user)),
    })
}
