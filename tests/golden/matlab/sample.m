classdef Tide < handle & matlab.mixin.Copyable
    % TIDE  Heights of the water in a harbour over one day.
    %   T = TIDE(HOURS, HEIGHTS) keeps samples in metres.

    properties (SetAccess = private)
        Hours (1,:) double = 0
        Heights (1,:) double = 0
    end

    properties (Dependent)
        Range
    end

    events
        Turned
    end

    methods
        function obj = Tide(hours, heights)
            % TIDE makes a tide of samples.
            if nargin > 0
                obj.Hours = hours;
                obj.Heights = heights;
            end
        end

        function value = get.Range(obj)
            value = max(obj.Heights) - min(obj.Heights);
        end

        function [height, isHigh] = at(obj, hour, method)
            % AT  Height at an hour, between samples by METHOD.
            %
            % See also INTERP1.
            if nargin < 3 || isempty(method)
                method = 'linear';
            elseif strcmp(method, 'none') && numel(obj.Hours) > 1
                error('Tide:method', 'A method is needed between samples.');
            else
                method = lower(method);
            end
            switch method
                case 'linear'
                    height = interp1(obj.Hours, obj.Heights, hour);
                case {'cubic', 'spline'}
                    height = interp1(obj.Hours, obj.Heights, hour, 'pchip');
                otherwise
                    height = NaN;
            end
            isHigh = height > mean(obj.Heights);
            if isHigh
                notify(obj, 'Turned');
            end
        end

        plotted = draw(obj, axes)
    end

    methods (Static)
        function tide = load(path)
            % LOAD reads a tide from a table of two columns.
            try
                samples = readmatrix(path);
            catch problem
                warning('Tide:load', '%s', problem.message);
                samples = zeros(0, 2);
            end
            tide = Tide(samples(:, 1)', samples(:, 2)');
        end
    end

    enumeration
        Spring (0, 6)
        Neap (0, 2)
    end
end

%% Helpers

function meters = fathoms(depth)
% FATHOMS  A depth in fathoms as metres.
meters = 1.8288 * depth;
end

% Counts how often a signal crosses its mean.
function count = crossings(signal, ~)
above = signal > mean(signal);
count = 0;
for k = 2:numel(above)
    if above(k) ~= above(k - 1)
        count = count + 1;
    end
end
scale = @(x) x / numel(above);
count = scale(count);
end
