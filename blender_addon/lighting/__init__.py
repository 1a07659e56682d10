"""Light and ground for CG objects, estimated from the panorama and the splats."""
