//! The sky, and what a polished surface mirrors.

use super::look::Look;
use super::noise::clouds;
use crate::tools::simulate::mesh::V3;

/// Colour of the sky in a direction (`z` up, unit length).
pub(super) fn sky(look: &Look, direction: V3) -> V3 {
    let up = direction.z.max(0.0);
    let blend = up.powf(0.45);
    let mut colour = look.sky_horizon.lerp(&look.sky_up, blend);
    let scale = 1.2 / (up + 0.15);
    let cloud = clouds(
        direction.x * scale + look.seed,
        direction.y * scale + look.seed * 0.7,
    );
    let share = ((cloud + look.clouds) * 1.4).clamp(0.0, 1.0) * (up * 6.0).min(1.0);
    colour = colour.lerp(&(look.sky_horizon * 1.15), share * 0.7);
    // Trees and houses far away.
    let around = direction.y.atan2(direction.x) * 6.0 + look.seed;
    let high = 0.022 + 0.022 * clouds(around, 0.3) + 0.008 * clouds(around * 7.0, 0.7);
    let belt = ((high - direction.z) * 220.0).clamp(0.0, 1.0);
    let leaves = 0.16 + 0.07 * clouds(around * 9.0, direction.z * 90.0);
    let far = look.sky_horizon.component_mul(&V3::new(0.8, 1.0, 0.75)) * leaves;
    colour.lerp(
        &far.lerp(&look.fog_colour, (look.fog * 300.0).clamp(0.15, 1.0)),
        belt,
    )
}

/// What is mirrored in a direction: the sky, a dim belt of surroundings, the ground.
pub(super) fn mirrored(look: &Look, direction: V3) -> V3 {
    if direction.z < 0.0 {
        return look.bounce * (0.6 + 0.4 * (1.0 + direction.z));
    }
    let belt = clouds(direction.x * 3.0 + look.seed, direction.y * 3.0) * 0.5 + 0.5;
    let high = 0.10 + 0.22 * belt;
    let share = ((high - direction.z) * 9.0).clamp(0.0, 1.0);
    let up = direction.z.powf(0.45);
    let open = look.sky_horizon.lerp(&look.sky_up, up);
    open.lerp(&(look.bounce * (0.5 + belt)), share * 0.8)
}
