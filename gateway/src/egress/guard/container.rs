//! Bodies that create things on an Engine: which fields they may have.
//!
//! In go parsed bodies; out comes nothing, or the field that was refused. Invariant: a container made through here has no
//! more rights on the machine than any unprivileged container, and sees no file of the machine.
//! Field names: Docker Engine API, `ContainerCreate`, `ContainerExec`, `NetworkCreate`, `VolumeCreate`.

use super::{
    fields::{Object, Rule, Value, is_name},
    refused,
};
use crate::model::Error;

const CONTAINER: &[(&str, Rule)] = &[
    ("ArgsEscaped", Rule::Any),
    ("AttachStderr", Rule::Any),
    ("AttachStdin", Rule::Any),
    ("AttachStdout", Rule::Any),
    ("Cmd", Rule::Any),
    ("Domainname", Rule::Any),
    ("Entrypoint", Rule::Any),
    ("Env", Rule::Any),
    ("ExposedPorts", Rule::Any),
    ("Healthcheck", Rule::Any),
    ("HostConfig", Rule::Check(host_config)),
    ("Hostname", Rule::Any),
    ("Image", Rule::Any),
    ("Labels", Rule::Any),
    ("NetworkDisabled", Rule::Any),
    ("NetworkingConfig", Rule::Check(networking)),
    ("OpenStdin", Rule::Any),
    ("Shell", Rule::Any),
    ("StdinOnce", Rule::Any),
    ("StopSignal", Rule::Any),
    ("StopTimeout", Rule::Any),
    ("Tty", Rule::Any),
    ("User", Rule::Any),
    // Anonymous volumes: container paths only.
    ("Volumes", Rule::Any),
    ("WorkingDir", Rule::Any),
];

const HOST: &[(&str, Rule)] = &[
    ("AutoRemove", Rule::Any),
    ("Binds", Rule::Check(binds)),
    ("BlkioWeight", Rule::Any),
    ("CapAdd", Rule::Unset),
    ("CapDrop", Rule::Any),
    ("Cgroup", Rule::Unset),
    ("CgroupParent", Rule::Unset),
    ("CgroupnsMode", Rule::OneOf(&["private"])),
    ("ConsoleSize", Rule::Any),
    ("ContainerIDFile", Rule::Unset),
    ("CpuCount", Rule::Any),
    ("CpuPercent", Rule::Any),
    ("CpuPeriod", Rule::Any),
    ("CpuQuota", Rule::Any),
    ("CpuShares", Rule::Any),
    ("CpusetCpus", Rule::Any),
    ("DeviceCgroupRules", Rule::Unset),
    ("DeviceRequests", Rule::Unset),
    ("Devices", Rule::Unset),
    ("Dns", Rule::Any),
    ("DnsOptions", Rule::Any),
    ("DnsSearch", Rule::Any),
    ("ExtraHosts", Rule::Any),
    ("GroupAdd", Rule::Unset),
    ("Init", Rule::Any),
    ("IpcMode", Rule::OneOf(&["private", "none"])),
    ("Isolation", Rule::OneOf(&["default"])),
    ("Links", Rule::Unset),
    ("LogConfig", Rule::Check(log_config)),
    ("Memory", Rule::Any),
    ("MemoryReservation", Rule::Any),
    ("MemorySwap", Rule::Any),
    ("MemorySwappiness", Rule::Any),
    ("Mounts", Rule::Check(mounts)),
    ("NanoCpus", Rule::Any),
    ("NetworkMode", Rule::Check(network_mode)),
    ("OomKillDisable", Rule::Unset),
    ("PidMode", Rule::Unset),
    ("PidsLimit", Rule::Any),
    ("PortBindings", Rule::Any),
    ("Privileged", Rule::Unset),
    ("PublishAllPorts", Rule::Any),
    ("ReadonlyRootfs", Rule::Any),
    ("RestartPolicy", Rule::Any),
    ("Runtime", Rule::Unset),
    ("SecurityOpt", Rule::Check(security)),
    ("ShmSize", Rule::Any),
    ("StorageOpt", Rule::Unset),
    ("Sysctls", Rule::Unset),
    ("Tmpfs", Rule::Any),
    ("UTSMode", Rule::Unset),
    ("Ulimits", Rule::Any),
    ("UsernsMode", Rule::Unset),
    ("VolumeDriver", Rule::OneOf(&["local"])),
    ("VolumesFrom", Rule::Unset),
];

const MOUNT: &[(&str, Rule)] = &[
    ("Consistency", Rule::Any),
    ("ReadOnly", Rule::Any),
    ("Source", Rule::Check(volume_name)),
    ("Target", Rule::Check(absolute)),
    ("TmpfsOptions", Rule::Check(|value| value.object()?.check("", &[("Mode", Rule::Any), ("SizeBytes", Rule::Any)]))),
    ("Type", Rule::Check(mount_type)),
    ("VolumeOptions", Rule::Check(volume_options)),
];

const ENDPOINT: &[(&str, Rule)] = &[("Aliases", Rule::Any), ("IPAMConfig", Rule::Unset), ("Links", Rule::Unset)];

const EXEC: &[(&str, Rule)] = &[
    ("AttachStderr", Rule::Any),
    ("AttachStdin", Rule::Unset),
    ("AttachStdout", Rule::Any),
    ("Cmd", Rule::Any),
    ("Env", Rule::Any),
    ("Privileged", Rule::Unset),
    ("Tty", Rule::Any),
    ("User", Rule::Any),
    ("WorkingDir", Rule::Any),
];

const NETWORK: &[(&str, Rule)] = &[
    ("CheckDuplicate", Rule::Any),
    ("ConfigFrom", Rule::Unset),
    ("ConfigOnly", Rule::Unset),
    ("Driver", Rule::OneOf(&["bridge"])),
    ("EnableIPv6", Rule::Any),
    ("IPAM", Rule::Unset),
    ("Ingress", Rule::Unset),
    ("Internal", Rule::Any),
    ("Labels", Rule::Any),
    ("Name", Rule::Any),
    // A bridge's options can name an interface of the machine.
    ("Options", Rule::Unset),
];

const VOLUME: &[(&str, Rule)] = &[
    ("Driver", Rule::OneOf(&["local"])),
    // The local driver's options can mount any path of the machine.
    ("DriverOpts", Rule::Unset),
    ("Labels", Rule::Any),
    ("Name", Rule::Any),
];

pub(super) fn create(body: &Object) -> Result<(), Error> {
    body.check("", CONTAINER).map_err(refused)
}

pub(super) fn exec(body: &Object) -> Result<(), Error> {
    body.check("", EXEC).map_err(refused)
}

/// Attached, the Engine would turn the connection into a raw stream.
pub(super) fn exec_start(body: &Object) -> Result<(), Error> {
    if body.get("Detach") != Some(&Value::Bool(true)) {
        return Err(refused("Detach must be true".to_owned()));
    }
    body.check("", &[("Detach", Rule::Any), ("Tty", Rule::Any)]).map_err(refused)
}

pub(super) fn network(body: &Object) -> Result<(), Error> {
    body.check("", NETWORK).map_err(refused)
}

pub(super) fn volume(body: &Object) -> Result<(), Error> {
    body.check("", VOLUME).map_err(refused)
}

fn host_config(value: &Value) -> Result<(), String> {
    if *value == Value::Null {
        return Ok(());
    }
    value.object()?.check("", HOST)
}

fn networking(value: &Value) -> Result<(), String> {
    if *value == Value::Null {
        return Ok(());
    }
    value.object()?.check("", &[("EndpointsConfig", Rule::Check(endpoints))])
}

fn endpoints(value: &Value) -> Result<(), String> {
    for (name, endpoint) in value.object()?.iter() {
        network_mode(&Value::Text(name.to_owned()))?;
        if *endpoint != Value::Null {
            endpoint.object()?.check("", ENDPOINT)?;
        }
    }
    Ok(())
}

fn network_mode(value: &Value) -> Result<(), String> {
    match value {
        Value::Null => Ok(()),
        Value::Text(text) if text.is_empty() || (is_name(text) && !text.eq_ignore_ascii_case("host")) => Ok(()),
        _ => Err("must be bridge, none, or the name of a network".to_owned()),
    }
}

/// `volume:/path` or `volume:/path:ro`.
fn binds(value: &Value) -> Result<(), String> {
    for item in value.items()? {
        let parts: Vec<&str> = item.text()?.split(':').collect();
        let ok = match parts.as_slice() {
            [volume, target] => is_name(volume) && target.starts_with('/'),
            [volume, target, mode] => is_name(volume) && target.starts_with('/') && matches!(*mode, "ro" | "rw"),
            _ => false,
        };
        if !ok {
            return Err("may hold named volumes only, as volume:/path or volume:/path:ro".to_owned());
        }
    }
    Ok(())
}

fn mounts(value: &Value) -> Result<(), String> {
    for item in value.items()? {
        let mount = item.object()?;
        // Without a type the Engine would choose one.
        mount_type(mount.get("Type").unwrap_or(&Value::Null)).map_err(|why| format!("Type {why}"))?;
        mount.check("", MOUNT)?;
    }
    Ok(())
}

fn mount_type(value: &Value) -> Result<(), String> {
    match value {
        Value::Text(text) if matches!(text.as_str(), "volume" | "tmpfs") => Ok(()),
        _ => Err("must be volume or tmpfs".to_owned()),
    }
}

fn volume_name(value: &Value) -> Result<(), String> {
    match value {
        Value::Null => Ok(()),
        Value::Text(text) if text.is_empty() || is_name(text) => Ok(()),
        _ => Err("must be the name of a volume".to_owned()),
    }
}

fn absolute(value: &Value) -> Result<(), String> {
    if value.text()?.starts_with('/') { Ok(()) } else { Err("must be an absolute path".to_owned()) }
}

fn volume_options(value: &Value) -> Result<(), String> {
    if *value == Value::Null {
        return Ok(());
    }
    value.object()?.check("", &[("DriverConfig", Rule::Unset), ("Labels", Rule::Any), ("NoCopy", Rule::Any)])
}

/// Other drivers send a container's output over the machine's network.
fn log_config(value: &Value) -> Result<(), String> {
    if *value == Value::Null {
        return Ok(());
    }
    value.object()?.check("", &[("Config", Rule::Any), ("Type", Rule::OneOf(&["json-file", "local", "none"]))])
}

/// This one only takes rights away.
fn security(value: &Value) -> Result<(), String> {
    let harmless = |item: &Value| matches!(item, Value::Text(text) if matches!(text.as_str(), "no-new-privileges" | "no-new-privileges:true"));
    if value.items()?.iter().all(harmless) { Ok(()) } else { Err("may hold no-new-privileges only".to_owned()) }
}
