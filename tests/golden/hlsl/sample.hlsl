// Crust of a bread, shaded by one oven.
#include "common.hlsli"

cbuffer Camera : register(b0)
{
    float4x4 view;
    float3 eye;
};

cbuffer Oven {
    float heat;
};

Texture2D<float4> crust : register(t0);
SamplerState linearSampler : register(s0);
RWStructuredBuffer<float> crumbs : register(u0);

struct VertexOut
{
    float4 position : SV_Position;
    float2 uv : TEXCOORD0;
};

interface IShade
{
    float shade(float3 normal);
};

namespace Bread
{
    class Crust
    {
        float depth() { return 0.2; }
    };

    // How far the heat comes.
    float reach(float depth, out float rest)
    {
        rest = depth > 1.0 && depth < 2.0 ? 0.5 : 0.0;
        return depth - rest;
    }
}

/// Places a vertex.
VertexOut PlaceVertex(float3 position : POSITION, uint id : SV_VertexID)
{
    VertexOut result;
    result.position = mul(view, float4(position, 1.0));
    result.uv = position.xy;
    return result;
}

float4 ShadePixel(VertexOut input) : SV_Target0
{
    return crust.Sample(linearSampler, input.uv) * heat;
}

[numthreads(8, 8, 1)]
void SumCrumbs(uint3 id : SV_DispatchThreadID)
{
    [unroll]
    for (int i = 0; i < 4; i++)
    {
        if (crumbs[i] > 0)
            crumbs[id.x] += crumbs[i];
    }
}

technique11 Bake
{
    pass First
    {
        SetVertexShader(NULL);
    }
}
