//! The WordPress toolkit of one site and environment.
//!
//! Native ids go in and out; paging, escaping and the connection's prefix are Portico's. Invariant: every default is `unsupported` with the
//! feature's name, so a call that nobody implemented can't look like a success.

pub use crate::wit::wordpress::{
    AdminCreate, Cache, CacheAction, Database, Extension, ExtensionAction, ExtensionKind, InstallInput, SearchReplaceInput,
    Security, SecurityChange, Status, Target, Updates,
};
use crate::{
    Call, Error, Provider, Work, error,
    provider::{change, with_current},
    wit,
};

/// The WordPress toolkit of one site and environment. A call that isn't implemented is `unsupported`.
pub trait Wordpress: Provider {
    fn get_status(&self, target: &Target) -> Result<Status, Error> {
        let _ = (target,);
        Err(error::unsupported("wordpress.status"))
    }

    /// Plugins or themes.
    fn extensions(&self, target: &Target, kind: ExtensionKind) -> Result<Vec<Extension>, Error> {
        let _ = target;
        Err(error::unsupported(&extension_feature(kind, "list")))
    }

    fn install(&self, call: &Call, target: &Target, kind: ExtensionKind, input: InstallInput) -> Result<Work, Error> {
        let _ = (call, target, input);
        Err(error::unsupported(&extension_feature(kind, "install")))
    }

    fn change_extension(
        &self,
        call: &Call,
        target: &Target,
        kind: ExtensionKind,
        id: &str,
        action: ExtensionAction,
    ) -> Result<Work, Error> {
        let _ = (call, target, id);
        Err(error::unsupported(&extension_feature(kind, action.as_str())))
    }

    /// To this version, or the newest.
    fn update_core(&self, call: &Call, target: &Target, version: Option<&str>) -> Result<Work, Error> {
        let _ = (call, target, version);
        Err(error::unsupported("wordpress.core.update"))
    }

    fn reinstall_core(&self, call: &Call, target: &Target) -> Result<Work, Error> {
        let _ = (call, target);
        Err(error::unsupported("wordpress.core.reinstall"))
    }

    fn set_maintenance(&self, call: &Call, target: &Target, enabled: bool) -> Result<Work, Error> {
        let _ = (call, target, enabled);
        Err(error::unsupported("wordpress.maintenance"))
    }

    /// `details`: `{"replacements": n}`.
    fn search_replace(&self, call: &Call, target: &Target, input: SearchReplaceInput) -> Result<Work, Error> {
        let _ = (call, target, input);
        Err(error::unsupported("wordpress.search_replace"))
    }

    fn get_cache(&self, target: &Target) -> Result<Cache, Error> {
        let _ = (target,);
        Err(error::unsupported("wordpress.cache.get"))
    }

    fn change_cache(&self, call: &Call, target: &Target, action: CacheAction) -> Result<Work, Error> {
        let _ = (call, target);
        Err(error::unsupported(action.feature()))
    }

    fn get_security(&self, target: &Target) -> Result<Security, Error> {
        let _ = (target,);
        Err(error::unsupported("wordpress.security.get"))
    }

    fn change_security(&self, call: &Call, target: &Target, input: SecurityChange) -> Result<Work, Error> {
        let _ = (call, target);
        Err(error::unsupported(input.feature()))
    }

    /// `details`: `{"modified": [path], "missing": [path], "unknown": [path]}`.
    fn verify_checksums(&self, call: &Call, target: &Target) -> Result<Work, Error> {
        let _ = (call, target);
        Err(error::unsupported("wordpress.security.verify_checksums"))
    }

    fn create_admin(&self, call: &Call, target: &Target, input: AdminCreate) -> Result<Work, Error> {
        let _ = (call, target, input);
        Err(error::unsupported("wordpress.admin.create"))
    }

    fn reset_password(&self, call: &Call, target: &Target, user: &str, password: Option<&str>) -> Result<Work, Error> {
        let _ = (call, target, user, password);
        Err(error::unsupported("wordpress.password_reset"))
    }

    /// A link that logs `user` in once; returned in `secrets` as `url`.
    fn login_link(&self, call: &Call, target: &Target, user: &str) -> Result<Work, Error> {
        let _ = (call, target, user);
        Err(error::unsupported("wordpress.login_link"))
    }
}

impl<P: Wordpress> wit::wordpress::Guest for P {
    fn get_status(target: Target) -> Result<Status, Error> {
        with_current(|provider: &P| Wordpress::get_status(provider, &target))
    }

    fn extensions(target: Target, kind: ExtensionKind) -> Result<Vec<Extension>, Error> {
        with_current(|provider: &P| Wordpress::extensions(provider, &target, kind))
    }

    #[inline(always)]
    fn install(call: Call, target: Target, kind: ExtensionKind, input: InstallInput) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::install(provider, &call, &target, kind, input))
    }

    #[inline(always)]
    fn change_extension(
        call: Call,
        target: Target,
        kind: ExtensionKind,
        id: String,
        action: ExtensionAction,
    ) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::change_extension(provider, &call, &target, kind, &id, action))
    }

    #[inline(always)]
    fn update_core(call: Call, target: Target, version: Option<String>) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::update_core(provider, &call, &target, version.as_deref()))
    }

    #[inline(always)]
    fn reinstall_core(call: Call, target: Target) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::reinstall_core(provider, &call, &target))
    }

    #[inline(always)]
    fn set_maintenance(call: Call, target: Target, enabled: bool) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::set_maintenance(provider, &call, &target, enabled))
    }

    #[inline(always)]
    fn search_replace(call: Call, target: Target, input: SearchReplaceInput) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::search_replace(provider, &call, &target, input))
    }

    fn get_cache(target: Target) -> Result<Cache, Error> {
        with_current(|provider: &P| Wordpress::get_cache(provider, &target))
    }

    #[inline(always)]
    fn change_cache(call: Call, target: Target, action: CacheAction) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::change_cache(provider, &call, &target, action))
    }

    fn get_security(target: Target) -> Result<Security, Error> {
        with_current(|provider: &P| Wordpress::get_security(provider, &target))
    }

    #[inline(always)]
    fn change_security(call: Call, target: Target, input: SecurityChange) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::change_security(provider, &call, &target, input))
    }

    #[inline(always)]
    fn verify_checksums(call: Call, target: Target) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::verify_checksums(provider, &call, &target))
    }

    #[inline(always)]
    fn create_admin(call: Call, target: Target, input: AdminCreate) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::create_admin(provider, &call, &target, input))
    }

    #[inline(always)]
    fn reset_password(call: Call, target: Target, user: String, password: Option<String>) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::reset_password(provider, &call, &target, &user, password.as_deref()))
    }

    #[inline(always)]
    fn login_link(call: Call, target: Target, user: String) -> Result<Work, Error> {
        change(|provider: &P| Wordpress::login_link(provider, &call, &target, &user))
    }
}

fn extension_feature(kind: ExtensionKind, action: &str) -> String {
    let kind = match kind {
        ExtensionKind::Plugin => "plugins",
        ExtensionKind::Theme => "themes",
    };
    format!("wordpress.{kind}.{action}")
}

impl ExtensionAction {
    /// As the feature's last word has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl CacheAction {
    /// The feature that this action needs.
    pub const fn feature(&self) -> &'static str {
        match self {
            Self::Enable => "wordpress.cache.enable",
            Self::Disable => "wordpress.cache.disable",
            Self::Flush => "wordpress.cache.flush",
            Self::Purge(_) => "wordpress.cache.purge",
        }
    }
}

impl SecurityChange {
    /// The feature that the first given field needs.
    pub const fn feature(&self) -> &'static str {
        match self {
            Self { file_edit: Some(_), .. } => "wordpress.security.file_edit",
            Self { file_protection: Some(_), .. } => "wordpress.security.file_protection",
            Self { hide_login: Some(_), .. } => "wordpress.security.hide_login",
            Self { debug: Some(_), .. } => "wordpress.security.debug",
            Self { .. } => "wordpress.security",
        }
    }
}
