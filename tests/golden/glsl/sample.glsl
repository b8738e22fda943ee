#version 450
// Crust of a bread, shaded by one oven.

layout(location = 0) in vec3 position;
layout(location = 0) out vec4 color;

uniform sampler2D crust;

/* The oven's light. */
struct Light {
  vec3 position;
  float heat;
};

layout(std140, binding = 0) uniform Camera {
  mat4 view;
  vec3 eye;
} camera;

layout(std430, binding = 1) buffer Crumbs {
  float sizes[];
} crumbs;

#define SQUARE(x) ((x) * (x))

float brightness(vec3 normal, const Light light);

// How much of the light a point gives back.
float brightness(in vec3 normal, const Light light, inout float shade) {
  vec3 way = light.position - position;
  if (dot(way, normal) < 0.0 || light.heat == 0.0) {
    return 0.0;
  } else if (shade > 1.0) {
    shade = 1.0;
  }
  for (int i = 0; i < 4; i++) {
    shade *= SQUARE(crumbs.sizes[i]);
  }
  return shade * light.heat / length(way);
}

void main() {
  float shade = 0.5;
  Light oven = Light(vec3(0.0), 2.0);
  color = texture(crust, position.xy) * brightness(position, oven, shade);
}
