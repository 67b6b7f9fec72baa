//! The truth about boxes and visibility, against projection by hand.

use super::*;
use crate::tools::simulate::choices::{Daytime, Weather};
use crate::tools::simulate::material::{Finish, Material};

fn block(low: V3, high: V3) -> Arc<Form> {
    let mut mesh = Mesh::default();
    let paint = mesh.material(Material::new(Finish::Paint, v(0.5, 0.1, 0.1)));
    mesh.cuboid(low, high, paint);
    Form::new(mesh)
}

fn placed(form: Arc<Form>, at: V3, object: usize) -> Instance {
    Instance {
        form,
        at,
        yaw: 0.0,
        object: Some(object),
        lit: false,
        brakes: false,
        footprint: (0.0, 0.0),
    }
}

/// Extents of these instances, seen from 20 m away along +x, 2 m up, 320 × 180 pixels.
fn extents(instances: &[Instance]) -> (Camera, Vec<Extent>) {
    let mut rng = fastrand::Rng::with_seed(1);
    let camera = Camera::looking(v(-20.0, 0.0, 2.0), v(0.0, 0.0, 2.0), (0.9, 0.0), (320, 180));
    let look = Look::new(Weather::Clear, Daytime::Day, false, 0.0, &mut rng);
    let ground = Ground::new((5.0, 5.0), Surface::Asphalt, &mut rng);
    let scene = Scene {
        camera: &camera,
        look: &look,
        ground: &ground,
        instances,
        lamps: &[],
        objects: instances.len(),
    };
    let extents = expose(&scene).extents;
    (camera, extents)
}

#[test]
fn the_box_is_where_the_corners_project() {
    let (low, high) = (v(-1.0, -2.0, 0.0), v(1.0, 2.0, 1.5));
    let at = v(3.0, 1.0, 0.0);
    let (camera, extents) = extents(&[placed(block(low, high), at, 0)]);
    let mut expected = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
    for x in [low.x, high.x] {
        for y in [low.y, high.y] {
            for z in [low.z, high.z] {
                // By hand: the camera looks along x, so depth is x + 20, right is -y, down is -z.
                let p = at + v(x, y, z);
                let scale = camera.focal / (p.x + 20.0);
                let (px, py) = (160.0 - p.y * scale, 90.0 - (p.z - 2.0) * scale);
                expected[0] = expected[0].min(px);
                expected[1] = expected[1].min(py);
                expected[2] = expected[2].max(px);
                expected[3] = expected[3].max(py);
            }
        }
    }
    for (seen, expected) in extents[0].ltrb.iter().zip(expected) {
        assert!(
            (seen - expected).abs() <= 1.0,
            "{:?} against {expected:?}",
            extents[0].ltrb
        );
    }
    assert!((extents[0].visibility() - 1.0).abs() < 1e-6);
}

#[test]
fn what_stands_before_an_object_hides_its_share() {
    let behind = placed(
        block(v(0.0, -2.0, 0.0), v(0.1, 2.0, 2.0)),
        v(10.0, 0.0, 0.0),
        0,
    );
    // Seen from the camera it covers the half at -y, to the right, and more.
    let before = placed(
        block(v(0.0, -3.0, 0.0), v(0.1, 0.0, 3.0)),
        v(0.0, 0.0, 0.0),
        1,
    );
    let (_, alone) = extents(std::slice::from_ref(&behind));
    let (_, both) = extents(&[behind, before]);
    assert!(
        (both[0].visibility() - 0.5).abs() < 0.03,
        "{}",
        both[0].visibility()
    );
    assert_eq!(
        both[0].ltrb, alone[0].ltrb,
        "the box is that of the whole object"
    );
    assert!((both[1].visibility() - 1.0).abs() < 1e-6);
}

#[test]
fn an_object_behind_the_camera_or_across_its_plane_is_no_trouble() {
    let far_behind = placed(
        block(v(-1.0, -1.0, 0.0), v(1.0, 1.0, 2.0)),
        v(-40.0, 0.0, 0.0),
        0,
    );
    let around = placed(
        block(v(-30.0, -1.0, 0.0), v(30.0, 1.0, 1.0)),
        v(-20.0, 0.0, 0.0),
        1,
    );
    let (_, extents) = extents(&[far_behind, around]);
    assert_eq!(extents[0].whole, 0);
    let [left, top, right, bottom] = extents[1].ltrb;
    assert!(
        left >= 0.0 && right <= 320.0 && bottom <= 180.0 && top > 80.0,
        "{:?}",
        extents[1]
    );
}
