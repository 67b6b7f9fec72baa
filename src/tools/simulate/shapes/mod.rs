//! The forms of everything that moves or stands in a scene, each made from a seed.

mod car;
mod cycle;
mod forklift;
mod heavy;
mod person;
mod props;
mod wheels;

pub(super) use car::{car, van};
pub(super) use cycle::{bicycle, motorcycle};
pub(super) use forklift::forklift;
pub(super) use heavy::{bus, truck};
pub(super) use person::{Outfit, Posture, Walker};
pub(super) use props::{
    bench, bollard, building, bush, carton, fence, fountain, guard_rail, hall_wall, kiosk,
    lamp_post, loaded_pallet, pillar, rack, sign, traffic_light, tree, umbrella, wall_box,
};

use super::mesh::Mesh;

/// A vehicle's form and its outline on the ground.
#[derive(Debug, Clone)]
pub(super) struct Vehicle {
    pub mesh: Mesh,
    /// Along x, metres.
    pub length: f32,
    /// Along y, metres, without mirrors.
    pub width: f32,
    /// Metres.
    pub height: f32,
}
